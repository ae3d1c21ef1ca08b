package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// release is the version of builds that are made from a folder of sources, in
// which Go finds no tag.
const release = "v0.1.0"

// A buildInfo tells what the program was built from.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // commit; none if it was built without version control
	Modified bool   `json:"modified,omitempty"` // there were changes beside it
	Go       string `json:"go"`
	System   string `json:"system"`
}

// thisBuild returns what is known of this program.
func thisBuild() buildInfo {
	b := buildInfo{Version: release, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; strings.HasPrefix(v, "v") && !strings.HasPrefix(v, "v0.0.0-") {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b buildInfo) String() string {
	text := "dspeer " + b.Version
	if b.Revision != "" {
		text += " revision " + b.Revision
	}
	if b.Modified {
		text += " (modified)"
	}
	return fmt.Sprintf("%s, %s, %s", text, b.Go, b.System)
}

func (c *cli) versionCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    "Version prints the version of this program, what it was built from, and with what.\nIt needs no running peer.",
		Example: "  dspeer version\n  dspeer version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return c.printLines(b, b.String())
		},
	})
}
