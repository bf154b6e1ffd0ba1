package check

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
)

// statement is what the artifacts of a verified statement make.
type statement struct {
	tick     string
	floor    events.Floor // the fleet
	rollouts map[string]manifest.Digest
}

// differs says in what a reference is not to the set that the artifacts make,
// without the channels that it leaves out.
func (s *statement) differs(ref *events.SetReference) string {
	rollouts := make(map[string]manifest.Digest, len(s.rollouts))
	for channel, hash := range s.rollouts {
		rollouts[channel] = hash
	}
	for _, channel := range ref.Without {
		delete(rollouts, channel)
	}
	digest, err := setDigest(s.floor.FleetHash, rollouts)
	switch {
	case err != nil:
		return fmt.Sprintf("the set has no digest: %v", err)
	case digest != ref.Digest:
		return fmt.Sprintf("the set's digest is %s, its artifacts make %s", ref.Digest, digest)
	case !sameFloor(&s.floor, &events.Floor{SignedAt: ref.SignedAt, FleetHash: ref.FleetHash}):
		return fmt.Sprintf("the set names fleet %s signed at %s, its statement is of %s", ref.FleetHash, ref.SignedAt, floorText(&s.floor))
	}
	return ""
}

// setDigest is the identity of a set (docs/log-format.md section 4.6), made from
// hashes alone: nothing is verified.
func setDigest(fleet manifest.Digest, rollouts map[string]manifest.Digest) (manifest.Digest, error) {
	text, err := json.Marshal(struct {
		Fleet    manifest.Digest            `json:"fleet"`
		Rollouts map[string]manifest.Digest `json:"rollouts"`
	}{fleet, rollouts})
	if err != nil {
		return manifest.Digest{}, err
	}
	canonical, err := manifest.Canonicalize(text)
	return manifest.Sum(canonical), err
}

// readStatement reads the artifacts that the findings name, and compares what
// the findings say of them. It returns nil when one could not be read, or none is
// a fleet.
func (c *checking) readStatement(ctx context.Context, tick *events.Tick) (*statement, error) {
	s := &statement{tick: tick.Head.Tick, rollouts: make(map[string]manifest.Digest)}
	whole := true
	for i, f := range tick.Findings {
		named := events.ArtifactOf(f)
		if named == nil {
			continue
		}
		seq := tick.Completed.Statement.FirstSeq + uint64(i)
		read, err := c.artifacts.read(ctx, *named, c.report)
		var lost *eventlog.ArtifactError
		var unreadable *contentError
		switch {
		case errors.As(err, &lost):
			c.report.add(Finding{Code: CodeArtifact, Seq: seq, Tick: tick.Head.Number, Detail: err.Error()})
		case errors.As(err, &unreadable):
			c.report.add(Finding{Code: CodeHash, Seq: seq, Tick: tick.Head.Number, Detail: err.Error()})
		case err != nil:
			return nil, err
		}
		whole = whole && err == nil
		if err == nil {
			c.stated(tick, seq, f, read, s)
		}
	}
	if !whole || s.floor.FleetHash.IsZero() {
		return nil, nil
	}
	return s, nil
}

// stated takes the content of an artifact into the statement.
func (c *checking) stated(tick *events.Tick, seq uint64, f events.Finding, read content, s *statement) {
	said := content{}
	switch f := f.(type) {
	case *events.FleetFetched:
		said = content{f.FleetHash, f.SignedAt, ""}
		s.floor = events.Floor{SignedAt: read.signedAt, FleetHash: read.hash}
	case *events.RolloutVerified:
		said = content{f.ManifestHash, f.SignedAt, f.FleetHash.String()}
		s.rollouts[f.Channel] = read.hash
	}
	if said != read {
		c.report.add(Finding{
			Code: CodeHash, Seq: seq, Tick: tick.Head.Number, Detail: fmt.Sprintf("the finding says %s, the artifact is %s", said, read),
			Expected: said.String(), Found: read.String(),
		})
	}
}

// content is what is read of an artifact.
type content struct {
	hash     manifest.Digest
	signedAt manifest.Instant
	fleet    string // hash that a manifest names
}

// String names hash and signing time.
func (c content) String() string {
	text := fmt.Sprintf("%s signed at %s", c.hash, c.signedAt)
	if c.fleet != "" {
		text += " for fleet " + c.fleet
	}
	return text
}

// contentError says that the bytes are not those of an artifact.
type contentError struct{ err error }

func (e *contentError) Error() string { return fmt.Sprintf("read artifact: %v", e.err) }

func (e *contentError) Unwrap() error { return e.err }

func contentOf(body []byte) (content, error) {
	canonical, err := manifest.Canonicalize(body)
	if err != nil {
		return content{}, &contentError{err}
	}
	var said struct {
		Fleet string `json:"fleetResolvedHash"`
		Meta  struct {
			SignedAt manifest.Instant `json:"signedAt"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(canonical, &said); err != nil {
		return content{}, &contentError{err}
	}
	return content{manifest.Sum(canonical), said.Meta.SignedAt, said.Fleet}, nil
}

// keptContents is how many artifacts are remembered.
const keptContents = 4096

// artifacts reads each artifact once, as long as it remembers it.
type artifacts struct {
	from  Source
	known map[string]content
	order []string // a ring, once it is full
	next  int
}

func newArtifacts(from Source) *artifacts {
	return &artifacts{from: from, known: make(map[string]content)}
}

// read returns what the named bytes say. Errors: [*eventlog.ArtifactError],
// [*contentError], [eventlog.ErrUnavailable].
func (a *artifacts) read(ctx context.Context, named events.Artifact, r *Report) (content, error) {
	key := fmt.Sprint(named.SHA256, named.Size, named.Parts)
	if known, ok := a.known[key]; ok {
		return known, nil
	}
	received, err := a.from.Artifact(ctx, named)
	if err != nil {
		return content{}, err
	}
	r.Artifacts++
	r.Bytes += uint64(len(received.Body))
	read, err := contentOf(received.Body)
	if err != nil {
		return content{}, err
	}
	if len(a.order) < keptContents {
		a.order = append(a.order, key)
	} else {
		delete(a.known, a.order[a.next])
		a.order[a.next] = key
		a.next = (a.next + 1) % keptContents
	}
	a.known[key] = read
	return read, nil
}
