package cmd_test

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// fleet is the fleet of all scripts.
const fleet = "prod"

// tenYears is the freshness window of all scripts in seconds: the releases of
// the corpus are real, and so they are old.
const tenYears = "315360000"

// TestScripts runs testdata/script: people's and machines' dealings with the
// programs, and everything that can be wrong with their surroundings.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", WorkdirRoot: t.TempDir(),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"broker":   startBroker,
			"plane":    startPlane,
			"unpack":   unpack,
			"until":    until,
			"exits":    exits,
			"signal":   signal,
			"capture":  capture,
			"last":     checkLast,
			"lossy":    makeLossy,
			"pen":      writeUnknown,
			"lie":      writeLie,
			"junk":     writeJunk,
			"stream":   makeStream,
			"forget":   forget,
			"freeport": freePort,
		},
		Setup: func(e *testscript.Env) error {
			for _, program := range []string{"NIXFLEET_POLLER", "NIXFLEET_REDUCER", "FLEETLOG"} {
				e.Setenv(program+"_FLEET", fleet)
			}
			e.Setenv("NIXFLEET_POLLER_TICK_TIMEOUT", patience.String()) // not the interval: the machine may be busy
			e.Setenv("NIXFLEET_POLLER_MANIFEST_FRESHNESS_WINDOW_SECS", tenYears)
			e.Setenv("NIXFLEET_REDUCER_MANIFEST_FRESHNESS_WINDOW_SECS", tenYears)
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, ".seen"))
			e.Setenv("FLEETLOG_FRESHNESS_WINDOW_SECS", tenYears)
			return nil
		},
		RequireUniqueNames: true,
	})
}
