package view

import (
	"fmt"
	"io"

	"fleetlog/events"
	"fleetlog/internal/tabular"
	"fleetlog/manifest"
)

// HostChange is a host that was told something else to run, or the same anew.
type HostChange struct {
	Resolved
	Host     string   `json:"host"`
	From     *Told    `json:"from"`
	To       *Told    `json:"to"`
	Rollout  *Version `json:"rollout"` // manifest that tells it
	Verified bool     `json:"verified"`
}

// HostChangeHeader is the line above [HostChange.Line].
const HostChangeHeader = "TIME                     TICK     SEQ       CHANNEL          WAVE  CLOSURE"

// Line writes the change for people.
func (c HostChange) Line(w io.Writer) error {
	channel, wave, closure := "-", "-", "none"
	if c.To != nil {
		channel, wave, closure = c.To.channel(), c.To.wave(), c.To.closure()
	}
	if c.From != nil && c.To != nil && *c.From == *c.To {
		closure += " (signed anew)"
	}
	if v := c.Rollout; v != nil {
		closure += fmt.Sprintf("; signed %s%s", v.SignedAt, by(v.Key))
		if v.Commit != nil && *v.Commit != "" {
			closure += " commit " + Plain(*v.Commit)
		}
	}
	_, err := fmt.Fprintf(w, "%s %-8d %-9d %-16s %-5s %s\n", c.Time, c.Tick, c.Seq, channel, wave, closure)
	return err
}

// Trace leads from a host down to the signatures: what it is told to run, by
// which manifest, of which fleet, signed by whom, and where the log says so.
type Trace struct {
	Host     string        `json:"host"`
	Told     *Told         `json:"told"` // null: nothing
	Reason   events.Reason `json:"reason,omitzero"`
	Detail   string        `json:"detail,omitzero"` // why nothing is told
	Rollout  *Link         `json:"rollout"`
	Fleet    *Link         `json:"fleet"`
	Tick     *TickLink     `json:"statement"`
	Resolved Resolved      `json:"resolved"`
	Verified bool          `json:"verified"`
}

// Link is one artifact on the way, and the event that names it.
type Link struct {
	Version
	SHA256    manifest.Digest `json:"sha256"`
	Signature []byte          `json:"signature"`
	Algorithm string          `json:"algorithm"`
	Seq       uint64          `json:"seq"` // of the event
}

// TickLink is the signed tick that states the artifacts.
type TickLink struct {
	Resolved
	ID      string           `json:"id"`
	Digest  manifest.Digest  `json:"digest"` // SHA-256 of the event's body, which the writer signed
	Writer  events.PublicKey `json:"writer"`
	Lineage string           `json:"lineage"`
}

// LinkOf is the artifact that a finding states; nil when it states none.
func LinkOf(f events.Finding, seq uint64) *Link {
	switch f := f.(type) {
	case *events.FleetFetched:
		v := Version{Hash: f.FleetHash, SignedAt: f.SignedAt, Commit: f.CICommit, Key: f.Artifact.Key}
		return &Link{v, f.Artifact.SHA256, f.Artifact.Signature, f.Artifact.Algorithm, seq}
	case *events.RolloutVerified:
		v := Version{RolloutID: f.RolloutID, Hash: f.ManifestHash, SignedAt: f.SignedAt, Commit: &f.ChannelRef, Key: f.Artifact.Key}
		return &Link{v, f.Artifact.SHA256, f.Artifact.Signature, f.Artifact.Algorithm, seq}
	}
	return nil
}

// Table writes the way down for people.
func (t Trace) Table(w io.Writer) error {
	table := tabular.New(w)
	fmt.Fprintf(table, "host\t%q\n", t.Host)
	if t.Told == nil {
		fmt.Fprintf(table, "  closure\tnone: %s\n", Condition{Reason: t.Reason, Detail: t.Detail}.text())
	} else {
		fmt.Fprintf(table, "  closure\t%s\n", t.Told.closure())
		fmt.Fprintf(table, "  channel\t%q, wave %d\n", t.Told.Channel, t.Told.Wave)
	}
	if t.Rollout != nil {
		fmt.Fprintf(table, "rollout\t%s\n", Plain(t.Rollout.RolloutID))
		t.Rollout.lines(table, "manifest hash")
	}
	if t.Fleet != nil {
		fmt.Fprintf(table, "fleet\t%s\n", t.Fleet.Short())
		t.Fleet.lines(table, "fleet hash")
	}
	if t.Tick != nil {
		fmt.Fprintf(table, "tick\t%s\n", t.Tick.Resolved)
		fmt.Fprintf(table, "  id\t%s\n  digest\t%s\n  writer\t%s\n  lineage\t%s\n", t.Tick.ID, t.Tick.Digest, t.Tick.Writer, t.Tick.Lineage)
	}
	fmt.Fprintf(table, "\nas of %s (%s)\n", t.Resolved, how(t.Verified))
	return table.Flush()
}

func (l *Link) lines(w io.Writer, hash string) {
	fmt.Fprintf(w, "  %s\t%s\n  bytes\tsha256 %s\n", hash, l.Hash, l.SHA256)
	fmt.Fprintf(w, "  signed\t%s%s (%s)\n  signature\t%x\n  event\tseq:%d\n", l.SignedAt, by(l.Key), Plain(l.Algorithm), l.Signature, l.Seq)
}
