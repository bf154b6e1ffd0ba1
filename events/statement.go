package events

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// StatementDigest is the SHA-256 over the RFC 8785 form of the array of finding
// bodies in stream order, as stored, each without its top-level tick, number,
// index and time (docs/log-format.md section 4(2)).
func StatementDigest(bodies [][]byte) (manifest.Digest, error) {
	findings := make([][]byte, len(bodies))
	for i, body := range bodies {
		var err error
		if findings[i], err = timeless(body); err != nil {
			return manifest.Digest{}, fmt.Errorf("digest statement: finding %d: %w", i, err)
		}
	}
	return statementOf(findings), nil
}

// statementOf is the digest of the findings as [timeless] gives them.
func statementOf(findings [][]byte) (digest manifest.Digest) {
	hash := sha256.New()
	between := []byte{'['}
	for _, f := range findings {
		hash.Write(between)
		hash.Write(f)
		between[0] = ','
	}
	hash.Write([]byte{']'})
	hash.Sum(digest[:0])
	return digest
}

// timeless is the RFC 8785 form of the object in body without the fields that
// differ between two ticks that state the same, as an element of an array.
func timeless(body []byte) ([]byte, error) {
	array, err := appendTimeless([]byte{'['}, body)
	if err != nil {
		return nil, err
	}
	canonical, err := manifest.Canonicalize(append(array, ']'))
	if err != nil {
		return nil, err
	}
	return canonical[1 : len(canonical)-1], nil
}

// appendTimeless appends the object in body without those fields.
func appendTimeless(dst, body []byte) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, fmt.Errorf("not an object (%w)", err)
	}
	dst = append(dst, '{')
	for first := true; dec.PeekKind() == '"'; {
		name, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		drop := isTickField(name)
		start := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = append(append(dst, name...), ':')
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if drop {
			dst = dst[:start]
			continue
		}
		dst, first = append(dst, value...), false
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("data behind the object")
	}
	return append(dst, '}'), nil
}

func isTickField(name []byte) bool {
	switch string(name) {
	case `"tick"`, `"number"`, `"index"`, `"time"`:
		return true
	}
	return false
}

// fact is what a finding says: the finding without what may differ between two
// that say the same (docs/log-format.md section 4(3)). While the last statement
// is young, a refusal says the same whatever its reason.
func fact(f Finding, young bool) Finding {
	c := f.clone()
	head := c.Head()
	head.Fleet, head.Tick, head.Number, head.Index, head.Time = FleetName{}, "", 0, 0, 0
	head.New, head.Message, head.Severity = false, "", ""
	switch c := c.(type) {
	case *FleetFetched:
		c.Artifact.Parts = nil
	case *RolloutVerified:
		c.Artifact.Parts = nil
		if c.Carried != "" {
			c.Carried = "carried"
		}
	case *FleetRejected:
		c.Received, c.Detail = nil, ""
		if young {
			c.Stage, c.Reason = "", ""
		}
	case *RolloutRejected:
		c.Received, c.Detail = nil, ""
		if young {
			c.Stage, c.Reason = "", ""
		}
	case *CrossCheckFailed:
		c.Received = nil
		if young {
			c.Expected, c.Actual = manifest.Digest{}, manifest.Digest{}
		}
	}
	return c
}

// sameFact tells whether two facts would be written alike. Values that are alike
// in memory are; only others, of which an empty list and none may be written
// alike all the same, are written to be compared.
func sameFact(a, b Finding) (bool, error) {
	if reflect.DeepEqual(a, b) {
		return true, nil
	}
	textA, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("compare finding: %w", err)
	}
	textB, err := json.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("compare finding: %w", err)
	}
	return bytes.Equal(textA, textB), nil
}

// alike tells of most findings that say the same that they do, in a fraction of
// the time; of others that their facts must tell.
func alike(a, b Finding) bool {
	switch a := a.(type) {
	case *FleetFetched:
		b, ok := b.(*FleetFetched)
		return ok && a.Type == b.Type && a.FleetHash == b.FleetHash && a.Artifact.alike(&b.Artifact) &&
			a.SignedAt == b.SignedAt && samePointee(a.FreshUntil, b.FreshUntil) && samePointee(a.CICommit, b.CICommit) &&
			a.Hosts == b.Hosts && a.Channels == b.Channels && a.Source == b.Source && bytes.Equal(a.Unknown, b.Unknown)
	case *RolloutVerified:
		b, ok := b.(*RolloutVerified)
		return ok && a.Type == b.Type && a.Channel == b.Channel && a.RolloutID == b.RolloutID && a.Scheme == b.Scheme &&
			a.Artifact.alike(&b.Artifact) && a.ManifestHash == b.ManifestHash && a.FleetHash == b.FleetHash &&
			a.SignedAt == b.SignedAt && samePointee(a.FreshUntil, b.FreshUntil) && a.ChannelRef == b.ChannelRef &&
			samePointee(a.CICommit, b.CICommit) && a.Hosts == b.Hosts && a.Waves == b.Waves && a.Carried == b.Carried &&
			bytes.Equal(a.Unknown, b.Unknown)
	}
	return false
}

func (a *Artifact) alike(b *Artifact) bool {
	return a.SHA256 == b.SHA256 && a.Size == b.Size && bytes.Equal(a.Signature, b.Signature) &&
		a.Algorithm == b.Algorithm && a.Key == b.Key && bytes.Equal(a.Unknown, b.Unknown)
}

func samePointee[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// byLeaf maps the subject leaf of every finding but `removed` ones to it.
func byLeaf(findings []Finding) map[string]Finding {
	leaves := make(map[string]Finding, len(findings))
	for _, f := range findings {
		if !isRemoved(f) {
			leaves[Leaf(f)] = f
		}
	}
	return leaves
}

// differing are the leaves of now of which before states another [fact], or
// none; gone tells whether before has leaves that now lacks.
func differing(before, now []Finding, young bool) (leaves map[string]bool, gone bool, err error) {
	if slices.EqualFunc(before, now, alike) {
		return nil, false, nil
	}
	leaves = make(map[string]bool)
	stated, kept := byLeaf(before), 0
	for leaf, f := range byLeaf(now) {
		was, ok := stated[leaf]
		if !ok {
			leaves[leaf] = true
			continue
		}
		kept++
		if alike(was, f) {
			continue
		}
		same, err := sameFact(fact(was, young), fact(f, young))
		if err != nil {
			return nil, false, err
		}
		if !same {
			leaves[leaf] = true
		}
	}
	return leaves, kept < len(stated), nil
}

func isRemoved(f Finding) bool {
	idle, ok := f.(*ChannelIdle)
	return ok && idle.Reason == Removed
}
