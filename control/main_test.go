package control_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/dstackless/dstackless/tasklet"
)

func TestMain(m *testing.M) {
	tasklet.RunCompiler()
	goleak.VerifyTestMain(m)
}
