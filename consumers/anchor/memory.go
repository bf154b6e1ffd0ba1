package anchor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/durable"
	"fleetlog/manifest"
)

// Memory is a directory with the newest head that was seen of each log, and with
// the lineage that was seen at each place.
type Memory struct{ dir string }

// NewMemory keeps heads in the directory, which need not be there yet.
func NewMemory(dir string) Memory { return Memory{dir} }

func (m Memory) head(fleet events.FleetName, lineage string) string {
	return filepath.Join(m.dir, fleet.String(), lineage+".head")
}

func (m Memory) place(fleet events.FleetName, place string) string {
	return filepath.Join(m.dir, fleet.String(), "at-"+manifest.Sum([]byte(place)).String()[:32])
}

// Seen is the newest head that was seen of the log; nil: none was.
func (m Memory) Seen(fleet events.FleetName, lineage string) (*Anchor, error) {
	data, err := readSmall(m.head(fleet, lineage))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a, err := Parse(data, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.head(fleet, lineage), err)
	}
	return &a, nil
}

// At is the lineage of the log that was last seen at the place; empty: none was.
func (m Memory) At(fleet events.FleetName, place string) (string, error) {
	data, err := readSmall(m.place(fleet, place))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxNote+1))
}

// Remember keeps a head that continues the one that was seen: whoever calls it
// has compared the two.
func (m Memory) Remember(a Anchor, place string) error {
	data, err := a.MarshalText()
	if err != nil {
		return err
	}
	path := m.head(a.Fleet(), a.Lineage)
	if err := durable.MakeDir(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("remember head: %w", err)
	}
	return errors.Join(durable.Replace(path, data, 0o600), durable.Replace(m.place(a.Fleet(), place), []byte(a.Lineage), 0o600))
}

// Regression says that a log does not hold what was seen of it, or is another
// log than was seen at its place.
type Regression struct{ Known check.KnownHead }

// Error says what was seen, and what to do.
func (e *Regression) Error() string {
	return fmt.Sprintf("the log does not hold tick %d of lineage %s, which was seen before: it was cut off, rewritten or put back from an old copy, unless this copy lags: run fleetlog audit",
		e.Known.Number, e.Known.Lineage)
}

// Compare holds the log against what was seen of it, and of its place, and
// remembers what it holds now. The heads that were seen are returned for an audit
// also when they hold. Errors: [*Regression], after which nothing new is
// remembered; those of the disk and of the broker.
func (m Memory) Compare(ctx context.Context, log *eventlog.Log, place string) ([]check.KnownHead, error) {
	known, err := m.known(log, place)
	if err != nil {
		return nil, err
	}
	for _, k := range known {
		if err := Hold(ctx, log, k); err != nil {
			return known, err
		}
	}
	newest, err := Newest(ctx, log)
	if err != nil {
		return known, err
	}
	return known, m.Remember(newest, place)
}

// known are the head seen of the log, or of the log that was at its place before
// it, unless this one says that it continues that one.
func (m Memory) known(log *eventlog.Log, place string) ([]check.KnownHead, error) {
	fleet, lineage := log.Fleet(), log.Lineage()
	before, err := m.At(fleet, place)
	if err != nil {
		return nil, err
	}
	if c := log.Opening().Opened.Continues; before == "" || c != nil && c.Lineage == before {
		before = lineage
	}
	var known []check.KnownHead
	for _, l := range []string{lineage, before} {
		seen, err := m.Seen(fleet, l)
		if err != nil {
			return nil, err
		}
		if seen != nil {
			known = append(known, seen.Known("this machine"))
		}
		if before == lineage {
			break
		}
	}
	return known, nil
}

// Hold checks that a head is in the log, by its number. Errors: [*Regression],
// those of the broker.
func Hold(ctx context.Context, log *eventlog.Log, known check.KnownHead) error {
	if known.Lineage != log.Lineage() {
		return &Regression{known}
	}
	found := log.Opening().Digest
	if known.Number > 0 {
		point := eventlog.PointOfNumber(known.Number)
		tick, err := log.At(ctx, point)
		if err != nil || tick.Head.Digest != known.Digest { // a copy may lag
			tick, err = log.AtLeader(ctx, point)
		}
		var gap *eventlog.GapError
		switch {
		case errors.Is(err, eventlog.ErrNoTick) || errors.As(err, &gap):
			return &Regression{known}
		case err != nil:
			return err
		}
		found = tick.Head.Digest
	}
	if found != known.Digest {
		return &Regression{known}
	}
	return nil
}

// Newest is the anchor of the log's last tick, or of its opening.
func Newest(ctx context.Context, log *eventlog.Log) (Anchor, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return Anchor{}, err
	}
	m, err := log.Message(ctx, head.Seq)
	if err != nil {
		return Anchor{}, err
	}
	return Of(m, log.Writers())
}
