package view

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"fleetlog/internal/tabular"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json/jsontext"
)

// Diff is what is different between the sets of two points. Two sets are the
// same exactly when they have one digest and the same keys signed them.
type Diff struct {
	From     Resolved      `json:"from"`
	To       Resolved      `json:"to"`
	Same     bool          `json:"same"`
	Verified bool          `json:"verified"` // both, by this program
	Sets     *DigestDiff   `json:"setDigest,omitzero"`
	Fleet    *VersionDiff  `json:"fleet,omitzero"`
	Channels []VersionDiff `json:"channels"`
	Hosts    []HostDiff    `json:"hosts"`
	Settings []SettingDiff `json:"settings"`
	Keys     []KeyDiff     `json:"keys"`
}

// DigestDiff are two set digests; null is no set.
type DigestDiff struct {
	From *manifest.Digest `json:"from"`
	To   *manifest.Digest `json:"to"`
}

// VersionDiff is an artifact that came, went or changed.
type VersionDiff struct {
	Channel *string  `json:"channel,omitzero"` // absent: the fleet
	From    *Version `json:"from"`
	To      *Version `json:"to"`
}

// HostDiff is a host that is told to run something else, in another wave, or by
// another channel.
type HostDiff struct {
	Host string `json:"host"`
	From *Told  `json:"from"`
	To   *Told  `json:"to"`
}

// SettingDiff is one thing that the fleet says differently: a policy, a
// resolved wave, a tag.
type SettingDiff struct {
	Path string         `json:"path"`
	From jsontext.Value `json:"from,omitzero"` // absent: it was not there
	To   jsontext.Value `json:"to,omitzero"`
}

// KeyDiff is an artifact that another key signed.
type KeyDiff struct {
	Channel *string `json:"channel,omitzero"` // absent: the fleet
	From    string  `json:"from"`
	To      string  `json:"to"`
}

// Compare finds what is different between two sets.
func Compare(from, to *Content) Diff {
	a, b := from.Set, to.Set
	d := Diff{
		From: a.Resolved, To: b.Resolved, Verified: a.Verified && b.Verified,
		Channels: []VersionDiff{}, Hosts: []HostDiff{}, Settings: []SettingDiff{}, Keys: []KeyDiff{},
	}
	if !sameDigest(a.SetDigest, b.SetDigest) {
		d.Sets = &DigestDiff{a.SetDigest, b.SetDigest}
	}
	d.fleet(a.FleetVersion(), b.FleetVersion())
	for _, name := range union(a.Rollouts, b.Rollouts) {
		was, is := a.RolloutVersion(name), b.RolloutVersion(name)
		if was == nil || is == nil || was.Hash != is.Hash {
			d.Channels = append(d.Channels, VersionDiff{&name, was, is})
		}
		d.key(&name, was, is)
	}
	for _, host := range union(from.Told, to.Told) {
		was, wasTold := from.Told[host]
		is, isTold := to.Told[host]
		if was != is || wasTold != isTold {
			d.Hosts = append(d.Hosts, HostDiff{host, present(was, wasTold), present(is, isTold)})
		}
	}
	for _, path := range union(from.Settings, to.Settings) {
		if was, is := from.Settings[path], to.Settings[path]; !bytes.Equal(was, is) {
			d.Settings = append(d.Settings, SettingDiff{path, was, is})
		}
	}
	d.Same = d.Sets == nil && len(d.Keys) == 0
	return d
}

func (d *Diff) fleet(was, is *Version) {
	if was == nil && is == nil {
		return
	}
	if was == nil || is == nil || was.Hash != is.Hash {
		d.Fleet = &VersionDiff{nil, was, is}
	}
	d.key(nil, was, is)
}

func (d *Diff) key(channel *string, was, is *Version) {
	if was != nil && is != nil && was.Key != is.Key {
		d.Keys = append(d.Keys, KeyDiff{channel, was.Key, is.Key})
	}
}

func sameDigest(a, b *manifest.Digest) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func present(t Told, ok bool) *Told {
	if !ok {
		return nil
	}
	return &t
}

// union are the keys of both maps, sorted.
func union[K cmp.Ordered, V any](a, b map[K]V) []K {
	all := maps.Clone(a)
	if all == nil {
		all = make(map[K]V)
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// Table writes the differences for people.
func (d Diff) Table(w io.Writer) error {
	table := tabular.New(w)
	if d.Same {
		fmt.Fprintf(table, "no difference\n")
	}
	if d.Sets != nil {
		fmt.Fprintf(table, "SET\t%s -> %s\n", digestText(d.Sets.From), digestText(d.Sets.To))
	}
	if d.Fleet != nil {
		fmt.Fprintf(table, "FLEET\t%s -> %s\n", d.Fleet.From.long(), d.Fleet.To.long())
	}
	heading(table, len(d.Channels), "CHANNEL\tROLLOUT")
	for _, c := range d.Channels {
		fmt.Fprintf(table, "%q\t%s -> %s\n", *c.Channel, c.From.long(), c.To.long())
	}
	heading(table, len(d.Hosts), "HOST\tCHANNEL\tWAVE\tCLOSURE")
	for _, h := range d.Hosts {
		fmt.Fprintf(table, "%q\t%s\t%s\t%s\n", h.Host, h.moved(Told.channel), h.moved(Told.wave), h.moved(Told.closure))
	}
	heading(table, len(d.Settings), "SETTING\tVALUE")
	for _, s := range d.Settings {
		fmt.Fprintf(table, "%s\t%s -> %s\n", Plain(s.Path), valueText(s.From), valueText(s.To))
	}
	heading(table, len(d.Keys), "SIGNED\tKEY")
	for _, k := range d.Keys {
		name := "(fleet)"
		if k.Channel != nil {
			name = fmt.Sprintf("%q", *k.Channel)
		}
		fmt.Fprintf(table, "%s\t%s -> %s\n", name, keyText(k.From), keyText(k.To))
	}
	fmt.Fprintf(table, "\nfrom %s\nto   %s (%s)\n", d.From, d.To, how(d.Verified))
	return table.Flush()
}

func heading(w io.Writer, n int, text string) {
	if n > 0 {
		fmt.Fprintf(w, "\n%s\n", text)
	}
}

// moved shows one property of the host, both where it differs.
func (h HostDiff) moved(of func(Told) string) string {
	was, is := "none", "none"
	if h.From != nil {
		was = of(*h.From)
	}
	if h.To != nil {
		is = of(*h.To)
	}
	if was == is {
		return was
	}
	return was + " -> " + is
}

func (t Told) channel() string { return fmt.Sprintf("%q", t.Channel) }
func (t Told) wave() string    { return fmt.Sprint(t.Wave) }
func (t Told) closure() string { return Plain(t.Closure) }

func digestText(d *manifest.Digest) string {
	if d == nil {
		return "none"
	}
	return d.String()
}

// long names the version with its signing time.
func (v *Version) long() string {
	if v == nil {
		return "none"
	}
	return v.Short() + " signed " + v.SignedAt.String()
}

// maxValue is the longest setting that a table shows.
const maxValue = 80

func valueText(v jsontext.Value) string {
	if v == nil {
		return "none"
	}
	text := cut(string(v), maxValue)
	if len(text) < len(v) {
		text += "..."
	}
	return Plain(text)
}

func keyText(key string) string {
	if key == "" {
		return "none"
	}
	return Plain(key)
}
