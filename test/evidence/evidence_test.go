package evidence

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestByHand proves bundles of real releases by the procedure in them: signed by
// ed25519 and by ECDSA, with names beyond ASCII, a whole log and a part of it.
func TestByHand(t *testing.T) {
	s := newScene(t)
	s.run("prod", "medium-composite", "fleetlog", "provision", "--events-max-bytes", room, "--artifacts-max-bytes", room)
	for _, release := range []string{"medium-composite", "medium-composite", "next-composite", "next-composite"} {
		s.run("prod", "medium-composite", "poller", "once", "--release-dir", s.path("releases/"+release+"/releases"))
	}
	s.run("prod", "medium-composite", "fleetlog", "export", s.path("whole.tar"))
	s.run("prod", "medium-composite", "fleetlog", "export", "--from", "tick:4", s.path("part.tar"))
	bundles := []string{"whole", "part"}
	for _, release := range []string{"p256-composite", "unicode-composite", "small", "medium"} {
		s.run(release, release, "fleetlog", "provision", "--events-max-bytes", room, "--artifacts-max-bytes", room)
		s.run(release, release, "poller", "once", "--release-dir", s.path("releases/"+release+"/releases"))
		s.run(release, release, "fleetlog", "export", s.path(release+".tar"))
		bundles = append(bundles, release)
	}
	for _, name := range bundles {
		t.Run(name, func(t *testing.T) {
			out, err := prove(t, s.unpacked(s.path(name+".tar")))
			if err != nil || !strings.Contains(out, " is proven: SHA-256 ") || strings.Contains(out, "noise") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("changed", func(t *testing.T) { s.changed(s.path("whole.tar")) })
	t.Run("audited", func(t *testing.T) {
		for _, name := range []string{"whole", "part"} {
			s.run("prod", "medium-composite", "fleetlog", "audit", "--bundle", s.path(name+".tar"))
		}
	})
}

// changed changes one byte of each file, and finds that the procedure fails: by
// the list of digests, and without it, where the file is one of events or
// artifacts, by what follows.
func (s *scene) changed(bundle string) {
	t := s.t
	t.Helper()
	whole := s.unpacked(bundle)
	var names []string
	err := fs.WalkDir(os.DirFS(whole), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && name != "SHA256SUMS" && name != "README.md" {
			names = append(names, name)
		}
		return err
	})
	if err != nil || len(names) < 8 {
		t.Fatalf("%q: %v", names, err)
	}
	for _, name := range names {
		for _, listed := range []bool{false, true} {
			if listed && !strings.HasPrefix(name, "events/") {
				continue
			}
			dir := s.unpacked(bundle)
			change(t, dir, name, listed)
			if out, err := prove(t, dir); err == nil {
				t.Errorf("%s changed, its digest put right %v, and yet:\n%s", name, listed, out)
			}
		}
	}
}

// change changes a byte in the last line of a file; in events one of a body. With
// listed the list of digests is put right.
func change(t *testing.T, dir, name string, listed bool) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := digest(data)
	at := len(data) / 2
	if i := strings.LastIndex(string(data), `\"intervalMs\":3`); i >= 0 {
		at = i + len(`\"intervalMs\":`)
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if !listed {
		return
	}
	sums := filepath.Join(dir, "SHA256SUMS")
	list, err := os.ReadFile(sums)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sums, []byte(strings.Replace(string(list), before, digest(data), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }
