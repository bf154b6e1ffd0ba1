package bundle

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"fleetlog/consumers/anchor"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
)

// Bundle is a bundle that was opened. It is a [check.Source]. Nothing of it is
// to be believed before a check has read it.
type Bundle struct {
	file    io.ReaderAt
	entries []entry
	index   map[string]entry
	said    description
	damaged []Damage
}

// Damage is a file of a bundle whose bytes are not those that the bundle lists.
type Damage struct {
	File     string
	Expected string // SHA-256
	Found    string
}

// Open reads what the bundle consists of, and compares every file with the list
// of their digests. What differs is in [Bundle.Damaged]; a bundle that cannot be
// read as one is a [*FormError].
func Open(ctx context.Context, file io.ReaderAt, size int64) (*Bundle, error) {
	all, err := entries(file, size)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	b := &Bundle{file: file, entries: all, index: make(map[string]entry, len(all))}
	for _, e := range all {
		if _, twice := b.index[e.name]; twice {
			return nil, b.bad(e.name, errors.New("is there twice"))
		}
		b.index[e.name] = e
	}
	if err := b.checkSums(ctx); err != nil {
		return nil, err
	}
	data, err := b.read(fileBundle, maxSmall)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &b.said); err != nil {
		return nil, b.bad(fileBundle, err)
	}
	if b.said.Format != 1 {
		return nil, b.bad(fileBundle, fmt.Errorf("it is of format %d: use a newer fleetlog", b.said.Format))
	}
	return b, nil
}

func (b *Bundle) bad(file string, err error) error {
	return fmt.Errorf("open bundle: %w", &FormError{file, b.index[file].offset, err})
}

// Damaged are the files that are not what the bundle lists.
func (b *Bundle) Damaged() []Damage { return b.damaged }

const (
	maxSmall   = 1 << 20
	maxSegment = segmentBytes + segmentLines*maxLine
)

// read returns a file that may have so many bytes.
func (b *Bundle) read(name string, limit int64) ([]byte, error) {
	e, ok := b.index[name]
	if !ok {
		return nil, b.bad(name, fmt.Errorf("%s is not there", name))
	}
	if e.size > limit {
		return nil, b.bad(name, fmt.Errorf("larger than %d bytes", limit))
	}
	data := make([]byte, e.size)
	if _, err := b.file.ReadAt(data, e.offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// checkSums compares every file with the list, which is the last file and names
// the others in their order.
func (b *Bundle) checkSums(ctx context.Context) error {
	last := len(b.entries) - 1
	if last < 0 || b.entries[last].name != fileSums {
		return b.bad(fileSums, errors.New("SHA256SUMS is not the last file"))
	}
	list, err := b.read(fileSums, maxEntries*(2*sha256.Size+102))
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(list), "\n")
	if len(lines) != last+1 || lines[last] != "" {
		return b.bad(fileSums, errors.New("it does not list the files"))
	}
	for i, e := range b.entries[:last] {
		if err := ctx.Err(); err != nil {
			return err
		}
		expected, ok := strings.CutSuffix(lines[i], "  "+e.name+"\n")
		if !ok {
			return b.bad(fileSums, fmt.Errorf("line %d is not of %s", i+1, e.name))
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(b.file, e.offset, e.size)); err != nil {
			return fmt.Errorf("read %s: %w", e.name, err)
		}
		if found := hex.EncodeToString(sum.Sum(nil)); found != expected {
			b.damaged = append(b.damaged, Damage{e.name, expected, found})
		}
	}
	return nil
}

// Part is what the bundle holds of its log. With no writers given, those that
// LogOpened names count. Errors: [*FormError], [events.ErrNotOpened],
// [*eventlog.GapError].
func (b *Bundle) Part(ctx context.Context, writers []events.PublicKey) (check.Part, error) {
	part := check.Part{Fleet: b.said.Fleet, End: b.said.Last}
	for m, err := range b.Messages(ctx, 1) {
		if err != nil || m.Seq != 1 {
			return part, errors.Join(err, &eventlog.GapError{Stream: part.Fleet.EventsStream(), First: 1, Last: 1})
		}
		if part.Opening, part.Writers, err = events.ReadOpening(part.Fleet, m.Message, writers); err != nil {
			return part, err
		}
		break
	}
	part.Before = part.Opening
	if b.said.First <= part.Opening.Seq+1 {
		return part, nil
	}
	if part.Opening.Lineage == "" {
		return part, &eventlog.GapError{Stream: part.Fleet.EventsStream(), First: 1, Last: 1}
	}
	tick, err := b.firstTick(ctx, part)
	if err != nil {
		return part, err
	}
	part.Before = tick.Predecessor()
	return part, nil
}

// firstTick reads the tick that the part begins with, which says what it follows.
func (b *Bundle) firstTick(ctx context.Context, part check.Part) (*events.Tick, error) {
	read := 0
	chain := events.NewChain(part.Fleet, part.Writers, part.Opening)
	for m, err := range b.Messages(ctx, b.said.First) {
		if err != nil {
			return nil, err
		}
		if read++; read > maxRecent {
			break
		}
		head, err := chain.End(m.Seq, m.Message)
		if err != nil {
			continue
		}
		return &events.Tick{Completed: head.Completed, Head: head}, nil
	}
	return nil, b.bad(fileBundle, fmt.Errorf("no tick begins at its first sequence, %d", b.said.First))
}

// Messages yields the events from first on, in order.
func (b *Bundle) Messages(ctx context.Context, first uint64) iter.Seq2[eventlog.Stored, error] {
	return func(yield func(eventlog.Stored, error) bool) {
		next := first
		for i, e := range b.entries {
			if !strings.HasPrefix(e.name, folderEvents) || b.endsBefore(i+1, first) {
				continue
			}
			more, err := b.segment(ctx, e, &next, yield)
			if err != nil {
				yield(eventlog.Stored{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// endsBefore tells from the name of the next file that one holds nothing from
// first on.
func (b *Bundle) endsBefore(next int, first uint64) bool {
	if next >= len(b.entries) {
		return false
	}
	name, ok := strings.CutPrefix(b.entries[next].name, folderEvents)
	if !ok {
		return false
	}
	begins, err := strconv.ParseUint(strings.TrimSuffix(name, ".jsonl"), 10, 64)
	return err == nil && begins <= first
}

// segment yields the events of one file. A line that is none is passed over, as
// if it were lost: that its file is damaged is known then.
func (b *Bundle) segment(ctx context.Context, e entry, next *uint64, yield func(eventlog.Stored, error) bool) (more bool, err error) {
	if e.size > maxSegment {
		return false, b.bad(e.name, fmt.Errorf("larger than %d bytes", maxSegment))
	}
	lines := bufio.NewScanner(io.NewSectionReader(b.file, e.offset, e.size))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		m, err := decodeLine(lines.Bytes())
		if err != nil || m.Seq < *next {
			if err != nil && !b.isDamaged(e.name) {
				b.damaged = append(b.damaged, Damage{e.name, "events", err.Error()})
			}
			continue
		}
		*next = m.Seq + 1
		if !yield(m, nil) {
			return false, nil
		}
	}
	if err := lines.Err(); err != nil {
		return false, b.bad(e.name, err)
	}
	return true, nil
}

func (b *Bundle) isDamaged(name string) bool {
	for _, d := range b.damaged {
		if d.File == name {
			return true
		}
	}
	return false
}

// Artifact returns the bytes that an event names.
func (b *Bundle) Artifact(_ context.Context, a events.Artifact) (manifest.Received, error) {
	e, ok := b.index[folderArtifacts+a.SHA256.String()]
	if !ok {
		return manifest.Received{}, &eventlog.ArtifactError{Artifact: a, Err: errors.New("the bundle does not hold it")}
	}
	if e.size != int64(a.Size) {
		return manifest.Received{}, &eventlog.ArtifactError{Artifact: a, Err: fmt.Errorf("the bundle holds %d bytes, the event says %d", e.size, a.Size)}
	}
	body, err := b.read(e.name, manifest.MaxArtifact)
	if err == nil && manifest.Sum(body) != a.SHA256 {
		err = &eventlog.ArtifactError{Artifact: a, Err: errors.New("the bundle holds other bytes")}
	}
	return manifest.Received{Body: body, Signature: a.Signature}, err
}

// ArtifactGaps says that there are none: a bundle holds no stream of artifacts.
func (b *Bundle) ArtifactGaps(context.Context) ([]*eventlog.GapError, error) { return nil, nil }

// LastSequence is the sequence at which the bundle ends, as it says.
func (b *Bundle) LastSequence(context.Context) (uint64, error) { return b.said.Last, nil }

// Head is the last tick, as the bundle anchors it.
func (b *Bundle) Head(writers []events.PublicKey) (anchor.Anchor, error) {
	data, err := b.read(fileHead, anchor.MaxNote)
	if err != nil {
		return anchor.Anchor{}, err
	}
	head, err := anchor.Parse(data, writers)
	if err != nil {
		return head, b.bad(fileHead, err)
	}
	return head, nil
}

// Trust are the trust files that the bundle holds.
func (b *Bundle) Trust() ([]TrustFile, error) {
	var all []TrustFile
	for _, p := range b.said.Trust {
		data, err := b.read(p.File, manifest.MaxTrust)
		if err != nil {
			return nil, err
		}
		t := TrustFile{Data: data}
		if p.From != nil {
			t.From = *p.From
		}
		all = append(all, t)
	}
	return all, nil
}

// Fleet is the fleet whose log the bundle is of, as it says.
func (b *Bundle) Fleet() events.FleetName { return b.said.Fleet }

var _ check.Source = (*Bundle)(nil)
