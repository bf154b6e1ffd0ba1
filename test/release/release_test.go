// Package release makes a release of one real program, twice, and looks at it from
// outside: the bill of materials under CycloneDX's own schema, the program as it
// comes out of the archive.
package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	root    = "../.."
	program = "reducer"
	version = "1.2.3"
)

func TestReleaseOfOneProgram(t *testing.T) {
	dist := filepath.Join(t.TempDir(), "dist")
	out, err := exec.CommandContext(t.Context(), "go", "-C", root, "run", "./internal/release",
		"--arch", "host", "--programs", program, "--version", version, "--twice", "--out", dist).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	t.Run("bill", func(t *testing.T) { validate(t, read(t, filepath.Join(dist, "fleetlog-"+version+".cdx.json"))) })
	name := "fleetlog-" + version + "-linux-" + runtime.GOARCH
	unpack(t, read(t, filepath.Join(dist, name+".tar.gz")), dist)
	said, err := exec.CommandContext(t.Context(), filepath.Join(dist, name, "bin", program), "--version").CombinedOutput()
	if want := program + " version " + version + "\n"; err != nil || string(said) != want {
		t.Errorf("%v, said %q, want %q", err, said, want)
	}
	for _, file := range []string{
		"LICENSE", "NEWS.md", "docs/systemd.md", "deploy/systemd/fleetlog-reducer.service", "deploy/systemd/reducer.env", "completions/bash/" + program,
	} {
		if _, err := os.Stat(filepath.Join(dist, name, file)); err != nil {
			t.Error(err)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// validate holds a bill of materials against the schema, and lists what it names.
func validate(t *testing.T, bill []byte) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	const place = "http://cyclonedx.org/schema/"
	for file, id := range map[string]string{
		"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schemax.json": "jsf-0.82.schema.json",
	} {
		schema := parse(t, read(t, filepath.Join(strings.TrimSpace(string(out)), "schema", file)))
		if err := compiler.AddResource(place+id, schema); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile(place + "bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(parse(t, bill)); err != nil {
		t.Errorf("%v\n%s", err, bill)
	}
	var decoded cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(bill), cyclonedx.BOMFileFormatJSON).Decode(&decoded); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, c := range *decoded.Components {
		listed[c.Name] = true
	}
	for _, name := range []string{"std", "github.com/nats-io/nats.go", "golang.org/x/crypto"} {
		if !listed[name] {
			t.Errorf("%s is not listed among %d components", name, len(listed))
		}
	}
}

func parse(t *testing.T, data []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// unpack writes the files of an archive into the directory.
func unpack(t *testing.T, data []byte, dir string) {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(unpacked); ; {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, entry.Name)
		content, err := io.ReadAll(in)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, entry.FileInfo().Mode()))
		if err != nil {
			t.Fatal(err)
		}
	}
}
