package view

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"fleetlog/internal/tabular"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
)

// Replay is what folding a log anew came to.
type Replay struct {
	To        Resolved         `json:"to"`
	Ticks     uint64           `json:"ticks"`
	Folded    uint64           `json:"folded"` // statements whose artifacts were judged
	SetDigest *manifest.Digest `json:"setDigest"`
	Log       Comparison       `json:"log"`            // with what the ticks state
	State     *Comparison      `json:"state,omitzero"` // with the state given
}

// Comparison is of the folded set with another one.
type Comparison struct {
	Equal     bool              `json:"equal"`
	SetDigest *manifest.Digest  `json:"setDigest"`         // of the other, at the end
	Differing uint64            `json:"differing"`         // ticks at which the two were not equal
	First     *Resolved         `json:"first"`             // from which on they have differed up to the end; before that, at all
	Fleet     string            `json:"fleet,omitzero"`    // why the fleet stated there was not taken here
	Channels  map[string]string `json:"channels,omitzero"` // likewise
}

// Next takes one tick: whether the two are equal after it, and why not.
func (c *Comparison) Next(at Resolved, equal bool, fleet error, channels map[string]error) {
	c.Equal = equal
	if equal {
		c.First, c.Fleet, c.Channels = nil, "", nil
		return
	}
	c.Differing++
	if c.First == nil {
		c.First = &at
		if fleet != nil {
			c.Fleet = fleet.Error()
		}
		for name, why := range channels {
			if c.Channels == nil {
				c.Channels = make(map[string]string)
			}
			c.Channels[name] = why.Error()
		}
	}
}

// OK tells whether the fold came to the set that it was compared with: the
// state's, where one was given.
func (r Replay) OK() bool {
	if r.State != nil {
		return r.State.Equal
	}
	return r.Log.Equal
}

// Table writes the answer for people.
func (r Replay) Table(w io.Writer) error {
	table := tabular.New(w)
	fmt.Fprintf(table, "FOLDED\t%d ticks, %d statements\n", r.Ticks, r.Folded)
	fmt.Fprintf(table, "SET\t%s\n", digestText(r.SetDigest))
	r.Log.lines(table, "LOG")
	if r.State != nil {
		r.State.lines(table, "STATE")
	}
	fmt.Fprintf(table, "\nup to %s (%s)\n", r.To, how(true))
	return table.Flush()
}

func (c Comparison) lines(w io.Writer, name string) {
	if c.Equal {
		fmt.Fprintf(w, "%s\tequal", name)
		if c.Differing > 0 && name == "LOG" { // a state is of one tick
			fmt.Fprintf(w, "; %d ticks before differed", c.Differing)
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintf(w, "%s\tDIFFERS: %s\n", name, digestText(c.SetDigest))
	if c.First != nil {
		fmt.Fprintf(w, "  from\t%s on\n", c.First)
	}
	if c.Fleet != "" {
		fmt.Fprintf(w, "  fleet\trefused here: %s\n", Plain(c.Fleet))
	}
	for _, channel := range slices.Sorted(maps.Keys(c.Channels)) {
		fmt.Fprintf(w, "  %q\trefused here: %s\n", channel, Plain(c.Channels[channel]))
	}
}

// ParseSet reads what a [Set] was shown as in JSON: by show, or by a reducer. It
// must say which set it is, and of which point.
func ParseSet(data []byte) (Set, error) {
	var said struct {
		SetDigest *manifest.Digest `json:"setDigest"`
		Resolved  *Resolved        `json:"resolved"`
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return Set{}, fmt.Errorf("read set: %w", err)
	}
	if said.Resolved == nil || said.Resolved.Seq == 0 {
		return Set{}, fmt.Errorf("read set: it does not say of which point it is")
	}
	return Set{SetDigest: said.SetDigest, Resolved: *said.Resolved}, nil
}

// Rebuilt is the set that a reducer has folded anew; nil is none.
type Rebuilt struct {
	SetDigest *manifest.Digest `json:"setDigest"`
}

// Table writes the digest alone.
func (r Rebuilt) Table(w io.Writer) error {
	_, err := fmt.Fprintln(w, digestText(r.SetDigest))
	return err
}
