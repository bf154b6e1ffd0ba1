package follower_test

import (
	"os"
	"path/filepath"
	"testing"
)

// damages are what can have happened to a state directory.
var damages = map[string]func(t *testing.T, path string){
	"half a checkpoint": func(t *testing.T, path string) {
		name := filepath.Join(path, "checkpoint.json")
		data, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(name, data[:len(data)/2], 0o600))
	},
	"no fleet in the generation": func(t *testing.T, path string) {
		must(t, os.Remove(filepath.Join(path, "current/fleet.resolved.json")))
	},
	"a bit of a manifest": func(t *testing.T, path string) {
		name := filepath.Join(path, "current", rolloutFile(1))
		data, err := os.ReadFile(name)
		must(t, err)
		data[7] ^= 1
		must(t, os.WriteFile(name, data, 0o600))
	},
	"no generations": func(t *testing.T, path string) {
		must(t, os.RemoveAll(filepath.Join(path, "generations")))
		must(t, os.Mkdir(filepath.Join(path, "generations"), 0o700))
	},
}
