package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// bill is the bill of materials, as the linker has recorded it in the programs
// themselves: what is listed is what is in them, by version and checksum.
type bill struct{ components map[string]component }

// component is one, as CycloneDX 1.6 writes it.
type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Scope   string `json:"scope,omitzero"`
	Hashes  []hash `json:"hashes,omitzero"`
	PURL    string `json:"purl,omitzero"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type document struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

// add takes in what the programs in the directory are made of.
func (b *bill) add(dir string, programs []string) error {
	if b.components == nil {
		b.components = make(map[string]component)
	}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(filepath.Join(dir, program))
		if err != nil {
			return err
		}
		b.take("std", strings.TrimPrefix(info.GoVersion, "go"), "")
		for _, module := range info.Deps {
			if module.Replace != nil {
				module = module.Replace
			}
			b.take(module.Path, module.Version, module.Sum)
		}
	}
	return nil
}

// take lists a module. Its checksum is the one of go.sum: over a list of its files.
func (b *bill) take(path, version, sum string) {
	c := component{Type: "library", Name: path, Version: version, Scope: "required", PURL: "pkg:golang/" + path + "@" + version}
	c.Ref = c.PURL
	if digest, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:")); err == nil && len(digest) > 0 {
		c.Hashes = []hash{{"SHA-256", hex.EncodeToString(digest)}}
	}
	b.components[c.PURL] = c
}

// write writes the bill as CycloneDX JSON.
func (b *bill) write(path, version string, moment time.Time) error {
	d := document{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{
			Timestamp: moment.Format(time.RFC3339),
			Component: component{Type: "application", Ref: "fleetlog", Name: "fleetlog", Version: version},
		},
	}
	for _, purl := range slices.Sorted(maps.Keys(b.components)) {
		d.Components = append(d.Components, b.components[purl])
	}
	data, err := json.Marshal(d, jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("write bill of materials: %w", err)
	}
	return os.WriteFile(path, append(data, '\n'), 0o644) //nolint:gosec // it is published
}
