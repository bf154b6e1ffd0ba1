// Package bundle is a part of a log as one file: events, artifacts, trust, and a
// procedure by which people can verify it with common tools (docs/bundle.md). It
// is a source for package check like the log itself, and needs no broker.
package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"fleetlog/consumers/anchor"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Names of files in a bundle; events, artifacts and trust files have folders.
const (
	fileReadme  = "README.md"
	fileBundle  = "bundle.json"
	fileStreams = "streams.json"
	fileHead    = "HEAD"
	fileSums    = "SHA256SUMS"

	folderTrust     = "trust/"
	folderEvents    = "events/"
	folderArtifacts = "artifacts/"
)

// TrustFile is a trust.json that held from a moment on.
type TrustFile struct {
	From time.Time // the zero time: always so far
	Data []byte
}

// Contents says what a bundle is made of beside the events and artifacts.
type Contents struct {
	Part     check.Part  // its End is where a tick ends
	Trust    []TrustFile // sorted by From
	Streams  any         // the settings of the log's streams
	Progress func(seq, end uint64)
}

// description is bundle.json.
type description struct {
	Format  int                `json:"format"`
	Fleet   events.FleetName   `json:"fleet"`
	Lineage string             `json:"lineage"`
	First   uint64             `json:"first"` // sequence of the first event behind LogOpened
	Last    uint64             `json:"last"`
	Tick    uint64             `json:"tick"` // number of the last tick
	Writers []events.PublicKey `json:"writers"`
	Trust   []period           `json:"trust"`
}

type period struct {
	From *time.Time `json:"from"` // null: always so far
	File string     `json:"file"`
}

// Write writes the bundle. Who writes it, when and from which copy of the log
// changes no byte. Error: [*eventlog.GapError], [*eventlog.ArtifactError], those
// of the source and of w.
func Write(ctx context.Context, w io.Writer, source check.Source, c Contents) error {
	b := &writing{out: w, source: source, Contents: c, artifacts: make(map[manifest.Digest]events.Artifact)}
	if err := b.all(ctx); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

type writing struct {
	Contents
	out       io.Writer
	source    check.Source
	sums      bytes.Buffer
	recent    []eventlog.Stored                   // behind the last that may end a tick
	artifacts map[manifest.Digest]events.Artifact // that the events name
}

func (b *writing) all(ctx context.Context) error {
	last, err := b.message(ctx, b.Part.End)
	if err != nil {
		return err
	}
	head, err := anchor.Of(last.Message, b.Part.Writers)
	if err != nil {
		return fmt.Errorf("sequence %d ends no tick: %w", b.Part.End, err)
	}
	note, err := head.MarshalText()
	if err != nil {
		return err
	}
	d := description{
		Format: 1, Fleet: b.Part.Fleet, Lineage: head.Lineage, First: b.Part.Before.Seq + 1, Last: head.Seq, Tick: head.Number,
		Writers: b.Part.Writers, Trust: []period{},
	}
	if err := errors.Join(b.file(fileReadme, readme(d)), b.describe(d)); err != nil {
		return err
	}
	if err := b.events(ctx); err != nil {
		return err
	}
	if err := b.writeArtifacts(ctx); err != nil {
		return err
	}
	if err := b.file(fileHead, note); err != nil {
		return err
	}
	return errors.Join(writeFile(b.out, fileSums, b.sums.Bytes()), writeEnd(b.out))
}

// describe writes what the bundle is, its streams and its trust files.
func (b *writing) describe(d description) error {
	for i, t := range b.Trust {
		p := period{File: fmt.Sprintf("%s%04d.json", folderTrust, i+1)}
		if from := t.From.UTC(); !t.From.IsZero() {
			p.From = &from
		}
		d.Trust = append(d.Trust, p)
	}
	if err := errors.Join(b.json(fileBundle, d), b.json(fileStreams, b.Streams)); err != nil {
		return err
	}
	for i, t := range b.Trust {
		if err := b.file(d.Trust[i].File, t.Data); err != nil {
			return err
		}
	}
	return nil
}

// nanoseconds is how settings of streams write durations.
func nanoseconds(d time.Duration) ([]byte, error) { return strconv.AppendInt(nil, int64(d), 10), nil }

func (b *writing) json(name string, v any) error {
	data, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "), json.WithMarshalers(json.MarshalFunc(nanoseconds)))
	if err != nil {
		return err
	}
	return b.file(name, append(data, '\n'))
}

func (b *writing) file(name string, data []byte) error {
	sum := sha256.Sum256(data)
	fmt.Fprintf(&b.sums, "%s  %s\n", hex.EncodeToString(sum[:]), name)
	return writeFile(b.out, name, data)
}

// message reads one message.
func (b *writing) message(ctx context.Context, seq uint64) (eventlog.Stored, error) {
	for m, err := range b.source.Messages(ctx, seq) {
		if err == nil && m.Seq != seq {
			break
		}
		return m, err
	}
	return eventlog.Stored{}, &eventlog.GapError{Stream: b.Part.Fleet.EventsStream(), First: seq, Last: seq}
}

// A file of events is closed when it has either.
const (
	segmentLines = 4096
	segmentBytes = 4 << 20
)

// events writes LogOpened and what the part holds, and notes which artifacts are
// named.
func (b *writing) events(ctx context.Context) error {
	first, next := b.Part.Opening.Seq, b.Part.Before.Seq+1
	if next > first+1 {
		opening, err := b.message(ctx, first)
		if err == nil {
			err = b.segment([]eventlog.Stored{opening})
		}
		if err != nil {
			return err
		}
		first = next
	}
	var segment []eventlog.Stored
	size := 0
	for m, err := range b.source.Messages(ctx, first) {
		if err != nil {
			return err
		}
		if m.Seq > b.Part.End {
			break
		}
		segment, size = append(segment, m), size+len(m.Body)
		b.note(m)
		if b.Progress != nil {
			b.Progress(m.Seq, b.Part.End)
		}
		if len(segment) == segmentLines || size >= segmentBytes {
			if err := b.segment(segment); err != nil {
				return err
			}
			segment, size = nil, 0
		}
		if m.Seq == b.Part.End {
			break
		}
	}
	if len(segment) == 0 {
		return nil
	}
	return b.segment(segment)
}

func (b *writing) segment(messages []eventlog.Stored) error {
	var data bytes.Buffer
	for _, m := range messages {
		text, err := encodeLine(m)
		if err != nil {
			return err
		}
		data.Write(text)
	}
	return b.file(fmt.Sprintf("%s%016d.jsonl", folderEvents, messages[0].Seq), data.Bytes())
}

// maxRecent bounds the findings that are held for one tick.
const maxRecent = 20000

// note takes down the artifacts that the findings of a signed tick name.
// Anybody may write findings.
func (b *writing) note(m eventlog.Stored) {
	if m.Subject != b.Part.Fleet.EventSubject("TickCompleted") {
		if b.recent = append(b.recent, m); len(b.recent) > maxRecent {
			b.recent = b.recent[1:]
		}
		return
	}
	recent := b.recent
	b.recent = nil
	if len(recent) == 0 {
		return
	}
	head, err := events.NewChain(b.Part.Fleet, b.Part.Writers, b.Part.Opening).End(m.Seq, m.Message)
	if err != nil {
		return
	}
	for _, f := range recent[max(0, len(recent)-head.Completed.Index):] {
		if finding, err := events.Decode(f.Body); err == nil {
			b.name(finding)
		}
	}
}

func (b *writing) name(event events.Event) {
	if f, ok := event.(events.Finding); ok {
		if a := events.ArtifactOf(f); a != nil {
			b.artifacts[a.SHA256] = *a
		}
	}
}

// writeArtifacts writes every artifact once. One that is lost is left out, which
// an audit tells of the bundle as of the log.
func (b *writing) writeArtifacts(ctx context.Context) error {
	digests := slices.SortedFunc(maps.Keys(b.artifacts), func(x, y manifest.Digest) int { return bytes.Compare(x[:], y[:]) })
	for _, digest := range digests {
		received, err := b.source.Artifact(ctx, b.artifacts[digest])
		var lost *eventlog.ArtifactError
		if errors.As(err, &lost) {
			continue
		}
		if err != nil {
			return err
		}
		if err := b.file(folderArtifacts+digest.String(), received.Body); err != nil {
			return err
		}
	}
	return nil
}
