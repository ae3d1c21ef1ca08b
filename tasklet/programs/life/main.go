// Command life plays the game of life, in Lua, with every cell a coroutine's
// answer.
package main

import (
	"log"
	"os"

	lua "github.com/yuin/gopher-lua"
)

const script = `
local generations, size = tonumber(rounds), 32
local board = {}
for y = 1, size do board[y] = {} for x = 1, size do board[y][x] = false end end
-- the R-pentomino and a glider
for _, cell in ipairs{{15, 16}, {15, 17}, {16, 15}, {16, 16}, {17, 16}, {2, 3}, {3, 4}, {4, 2}, {4, 3}, {4, 4}} do
	board[cell[1]][cell[2]] = true
end

local function at(y, x) return board[(y - 1) % size + 1][(x - 1) % size + 1] and 1 or 0 end

local cells = coroutine.wrap(function()
	while true do
		for y = 1, size do
			for x = 1, size do
				local n = at(y-1, x-1) + at(y-1, x) + at(y-1, x+1) + at(y, x-1) + at(y, x+1)
					+ at(y+1, x-1) + at(y+1, x) + at(y+1, x+1)
				coroutine.yield(n == 3 or n == 2 and board[y][x])
			end
		end
	end
end)

for generation = 1, generations do
	local next, alive, sum = {}, 0, 0
	for y = 1, size do
		next[y] = {}
		for x = 1, size do
			local lives = cells()
			next[y][x] = lives
			if lives then alive, sum = alive + 1, (sum * 31 + y * size + x) % 1000000007 end
		end
	end
	board = next
	print("generation", generation, alive, sum)
end
for y = 1, size do
	local row = {}
	for x = 1, size do row[x] = board[y][x] and "#" or "." end
	print(table.concat(row))
end
`

func main() {
	l := lua.NewState()
	defer l.Close()
	l.SetGlobal("rounds", lua.LString(os.Args[1]))
	if err := l.DoString(script); err != nil {
		log.Fatal(err)
	}
}
