package manifest

import (
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// HostSetDigest is the SHA-256 of the RFC 8785 form of the hosts in order, each
// as {hostname, targetClosure, waveIndex}.
func HostSetDigest(hosts []HostWave) Digest { return Sum(canonicalHostSet(hosts)) }

// canonicalHostSet is that form. It is what most of a manifest consists of.
func canonicalHostSet(hosts []HostWave) []byte {
	size := len("[]")
	for _, h := range hosts {
		size += len(`{"hostname":"","targetClosure":"","waveIndex":12},`) + len(h.Hostname) + len(h.TargetClosure)
	}
	b := append(make([]byte, 0, size), '[')
	for i, h := range hosts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"hostname":`...), h.Hostname)
		b = appendText(append(b, `,"targetClosure":`...), h.TargetClosure)
		b = strconv.AppendUint(append(b, `,"waveIndex":`...), uint64(h.WaveIndex), 10)
		b = append(b, '}')
	}
	return append(b, ']')
}

// canonicalObject writes an object of ASCII names whose values are in canonical
// form.
func canonicalObject(members map[string][]byte) []byte {
	names := slices.Sorted(maps.Keys(members))
	size := len("{}")
	for _, name := range names {
		size += len(`"":,`) + len(name) + len(members[name])
	}
	b := append(make([]byte, 0, size), '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		b = append(b, members[name]...)
	}
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	b, err := jsontext.AppendQuote(b, s)
	if err != nil {
		panic("manifest text has no JSON form: " + err.Error()) // decoded text always has one
	}
	return b
}

// canonicalTree writes a value made of maps, slices, strings and integers.
func canonicalTree(v any) []byte {
	out, err := json.Marshal(v)
	if err == nil {
		err = (*jsontext.Value)(&out).Canonicalize()
	}
	if err != nil {
		panic("manifest tree has no JSON form: " + err.Error()) // decoded text always has one
	}
	return out
}
