package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/manifest"
)

// looker reads a reducer's `current` as a program does that acts on it.
type looker struct {
	stateDir string
	rules    fold.Rules
	judged   map[manifest.Digest]*manifest.Set // what bytes that were read have been verified to be
	seen     map[manifest.Digest]string        // where each set was seen, by its digest
	last     manifest.Digest
	newest   manifest.Instant
}

func newLooker(stateDir string, rules fold.Rules) *looker {
	return &looker{
		stateDir: stateDir, rules: rules,
		judged: make(map[manifest.Digest]*manifest.Set), seen: make(map[manifest.Digest]string),
	}
}

// look reads the set that `current` names. It returns false when there was none
// yet, or when the generation was collected because `current` had moved on
// meanwhile. The error says that what it still names is not one whole set, or an
// older one than before.
func (l *looker) look() (whole bool, err error) {
	link, err := os.Readlink(filepath.Join(l.stateDir, "current"))
	if errors.Is(err, fs.ErrNotExist) && len(l.seen) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	set, err := l.read(link)
	if err != nil {
		if now, again := os.Readlink(filepath.Join(l.stateDir, "current")); again == nil && now != link {
			return false, nil
		}
		return false, fmt.Errorf("%s is not one whole set: %w", link, err)
	}
	signedAt := set.Fleet().SignedAt()
	if signedAt.Compare(l.newest) < 0 {
		return false, fmt.Errorf("%s went back to a fleet signed at %s, from one signed at %s", link, signedAt, l.newest)
	}
	l.last, l.newest, l.seen[set.Digest()] = set.Digest(), signedAt, link
	return true, nil
}

// read reads every file of a generation, and verifies them all. The same bytes
// have the same verdict, which is found only once.
func (l *looker) read(link string) (*manifest.Set, error) {
	root, err := os.OpenRoot(filepath.Join(l.stateDir, link))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files := make(map[string][]byte)
	var all bytes.Buffer
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(root.FS(), name)
		fmt.Fprintf(&all, "%s %d\n%s", name, len(files[name]), files[name])
		return err
	})
	if err != nil {
		return nil, err
	}
	sum := manifest.Sum(all.Bytes())
	if set := l.judged[sum]; set != nil {
		return set, nil
	}
	set, err := l.verify(files)
	if err == nil {
		l.judged[sum] = set
	}
	return set, err
}

// verify accepts a fleet and its manifests, each with a signature beside it, and
// nothing else.
func (l *looker) verify(files map[string][]byte) (*manifest.Set, error) {
	var fleet manifest.Received
	rollouts := make(map[string]manifest.Received)
	for name, body := range files {
		if strings.HasSuffix(name, ".sig") {
			continue
		}
		received := manifest.Received{Body: body, Signature: files[name+".sig"]}
		channel, _, ok := strings.Cut(strings.TrimPrefix(name, "rollouts/"), "@")
		switch {
		case name == "fleet.resolved.json":
			fleet = received
		case ok && strings.HasPrefix(name, "rollouts/"):
			rollouts[channel] = received
		default:
			return nil, fmt.Errorf("%s is no part of a release", name)
		}
	}
	if len(files) != 2*(1+len(rollouts)) {
		return nil, fmt.Errorf("%d files for a fleet and %d manifests", len(files), len(rollouts))
	}
	policy := manifest.Policy{Trust: l.rules.Trust, Now: time.Now(), Window: l.rules.Window}
	set, refused, err := manifest.Assemble(fleet, rollouts, l.rules.Scheme, policy)
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("manifests are refused: %v", refused)
	}
	return set, err
}
