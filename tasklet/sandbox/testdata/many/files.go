package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// files tries what programs do with files that are not there, and says which
// error does not say so.
func files() {
	open := func(name string, flag int) error {
		_, err := os.OpenFile(name, flag, 0o666)
		return err
	}
	second := func(_ any, err error) error { return err }
	for what, err := range map[string]error{
		"open":           open("config.json", os.O_RDONLY),
		"open absolute":  open("/etc/hosts", os.O_RDONLY),
		"open to write":  open("log", os.O_WRONLY|os.O_CREATE|os.O_APPEND),
		"open exclusive": open("/tmp/lock", os.O_WRONLY|os.O_CREATE|os.O_EXCL),
		"read file":      second(os.ReadFile("a/b/c")),
		"read folder":    second(os.ReadDir(".")),
		"stat":           second(os.Stat("config.json")),
		"stat root":      second(os.Stat("/")),
		"lstat":          second(os.Lstat("config.json")),
		"readlink":       second(os.Readlink("link")),
		"mkdir":          os.Mkdir("folder", 0o777),
		"mkdir all":      os.MkdirAll("/a/b", 0o777),
		"temporary":      second(os.CreateTemp("", "x")),
		"remove":         os.Remove("config.json"),
		"rename":         os.Rename("a", "b"),
		"link":           os.Link("a", "b"),
		"symlink":        os.Symlink("a", "b"),
		"times":          os.Chtimes("a", time.Now(), time.Now()),
		"truncate":       os.Truncate("a", 0),
		"root":           second(os.OpenRoot("/")),
		"glob":           second(fs.ReadFile(os.DirFS("/"), "etc/hosts")),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			fmt.Printf("%s: %v\n", what, err)
		}
	}
	if err := os.RemoveAll("folder"); err != nil {
		fmt.Println("remove all:", err)
	}
	if _, err := time.LoadLocation("No/Where"); err == nil || err.Error() != "unknown time zone No/Where" {
		fmt.Println("time zone:", err)
	}
	fmt.Println("done")
}
