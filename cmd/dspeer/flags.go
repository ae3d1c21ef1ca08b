package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// errNotPositive is the one rule for all flags that are a number, a size or a time.
var errNotPositive = errors.New("want more than 0; leave the flag out for its default")

// positive checks that what was given of cmd's numbers and times is above 0. Sizes
// check that themselves.
func positive(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Value.Type() {
		case "int", "int64", "duration":
			if text := f.Value.String(); text == "0" || text == "0s" || strings.HasPrefix(text, "-") {
				err = usageError{fmt.Errorf("invalid argument %q for \"--%s\" flag: %w", text, f.Name, errNotPositive)}
			}
		}
	})
	return err
}
