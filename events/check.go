package events

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleetlog/manifest"

	"github.com/google/uuid"
)

func checkEnvelope(e *Envelope) error {
	switch {
	case e.Type == "" || strings.ContainsFunc(e.Type, notTypeRune):
		return fmt.Errorf("type %q is not of letters, digits and dots", e.Type)
	case e.Fleet == FleetName{}:
		return errors.New("fleet is absent")
	case e.Number > maxInteger || !isCount(e.Index):
		return errors.New("number or index is out of range")
	case e.Severity != Info && e.Severity != Warning && e.Severity != Error:
		return fmt.Errorf("unknown severity %q", e.Severity)
	case e.Message == "" || strings.ContainsAny(e.Message, "\r\n"):
		return errors.New("message is not one line")
	}
	return nil
}

func notTypeRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.'
}

func checkTick(e *Envelope) error { return checkUUID(e.Tick, 7) }

func checkCounts(values ...int) error {
	if slices.ContainsFunc(values, func(v int) bool { return !isCount(v) }) {
		return errors.New("a count is out of range")
	}
	return nil
}

func isCount(v int) bool { return v >= 0 && int64(v) <= maxInteger }

func checkReason(r Reason) error {
	if r == "" || strings.ContainsFunc(strings.ReplaceAll(string(r), "-", ""), notTypeRune) {
		return fmt.Errorf("reason %q is not a code", r)
	}
	return nil
}

func (a *Artifact) check() error {
	if a.Size < 1 || a.Size > manifest.MaxArtifact {
		return fmt.Errorf("artifact size %d is out of range", a.Size)
	}
	if want := (a.Size + PartSize - 1) / PartSize; len(a.Parts) != want {
		return fmt.Errorf("artifact of %d bytes names %d parts, want %d", a.Size, len(a.Parts), want)
	}
	for _, seq := range a.Parts {
		if seq < 1 || seq > maxInteger {
			return fmt.Errorf("artifact part %d is not a sequence", seq)
		}
	}
	if len(a.Signature) != manifest.SignatureSize {
		return fmt.Errorf("artifact signature has %d bytes", len(a.Signature))
	}
	if a.Algorithm == "" || a.Key == "" {
		return errors.New("artifact names no key")
	}
	return nil
}

// PartSize is the size in bytes of every part of an artifact but the last.
const PartSize = 524288

func (e *LogOpened) check() error {
	if e.Seq != 1 || e.Number != 0 || e.Index != 0 || e.Format != 1 {
		return errors.New("LogOpened is not the first message of a log of format 1")
	}
	if e.Tick != e.Lineage {
		return errors.New("LogOpened's tick is not its lineage")
	}
	if err := checkUUID(e.Lineage, 4); err != nil {
		return fmt.Errorf("lineage: %w", err)
	}
	if !e.New {
		return errors.New("LogOpened is not new")
	}
	seen := make(map[PublicKey]bool, len(e.Writers))
	for _, w := range e.Writers {
		if seen[w] {
			return fmt.Errorf("writer %s is named twice", w)
		}
		seen[w] = true
	}
	if !seen[e.Writer] {
		return errors.New("LogOpened's writer is not among its writers")
	}
	if c := e.Continues; c != nil {
		if err := checkUUID(c.Lineage, 4); err != nil {
			return fmt.Errorf("continued lineage: %w", err)
		}
		if c.Number > maxInteger {
			return errors.New("continued number is out of range")
		}
	}
	return nil
}

func (e *FleetFetched) check() error {
	if e.Source == "" {
		return errors.New("source is absent")
	}
	return errors.Join(checkTick(&e.Envelope), e.Artifact.check(), checkCounts(e.Hosts, e.Channels))
}

func (e *FleetRejected) check() error {
	return errors.Join(checkTick(&e.Envelope), checkRefusal(e.Stage, e.Reason, e.Detail, e.Received))
}

func (e *RolloutVerified) check() error {
	if e.Scheme != manifest.Composite && e.Scheme != manifest.ContentHash {
		return fmt.Errorf("unknown scheme %q", e.Scheme)
	}
	if e.Carried != "" {
		if err := checkReason(e.Carried); err != nil {
			return err
		}
	}
	return errors.Join(checkTick(&e.Envelope), e.Artifact.check(), checkCounts(e.Hosts, e.Waves))
}

func (e *RolloutRejected) check() error {
	if (e.RolloutID == nil) != (e.Reason == Projection) {
		return errors.New("rolloutId must be absent exactly with reason Projection")
	}
	return errors.Join(checkTick(&e.Envelope), checkRefusal(e.Stage, e.Reason, e.Detail, e.Received))
}

func checkRefusal(stage Stage, reason Reason, detail string, received *Received) error {
	if stage == "" {
		return errors.New("stage is absent")
	}
	// Without any key nothing of what came is looked at, and a writer may leave
	// it out.
	if (received != nil) != stage.received() && (reason != NoTrustRoots || received != nil) {
		return fmt.Errorf("received must be present exactly at stages verify and floor, not at %s", stage)
	}
	return errors.Join(checkReason(reason), checkDetail(detail), received.check())
}

func (r *Received) check() error {
	if r == nil {
		return nil
	}
	return checkCounts(r.Size)
}

func (e *CrossCheckFailed) check() error {
	switch {
	case e.Check == "":
		return errors.New("check is absent")
	case e.Received == nil:
		return errors.New("received is absent")
	case e.Expected == e.Actual:
		return errors.New("expected and actual are equal")
	}
	return errors.Join(checkTick(&e.Envelope), e.Received.check())
}

func (e *ChannelIdle) check() error {
	return errors.Join(checkTick(&e.Envelope), checkReason(e.Reason))
}

func (e *Unrecognized) check() error { return nil }

func (e *TickCompleted) check() error {
	if err := checkTick(&e.Envelope); err != nil {
		return err
	}
	if err := checkUUID(e.Lineage, 4); err != nil {
		return fmt.Errorf("lineage: %w", err)
	}
	if e.Number < 1 || e.Seq < 2 || e.Seq > maxInteger || e.TookMs > maxInteger || e.IntervalMs > maxInteger {
		return errors.New("number, seq or a duration is out of range")
	}
	if e.Outcome != Verified && e.Outcome != Skipped {
		return fmt.Errorf("unknown outcome %q", e.Outcome)
	}
	if e.Stated != Changed && e.Stated != Restated && e.Stated != Unchanged {
		return fmt.Errorf("unknown stated %q", e.Stated)
	}
	if (e.Stated == Unchanged) != (e.Index == 0) {
		return errors.New("a tick without findings must be unchanged, and no other")
	}
	if err := e.Missed.check(); err != nil {
		return err
	}
	s := e.Statement
	if err := checkUUID(s.Tick, uuid.Version(7)); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if s.FirstSeq < 2 || s.LastSeq < s.FirstSeq || s.LastSeq >= e.Seq {
		return errors.New("statement's bounds are not before the tick")
	}
	return errors.Join(checkCounts(e.Counts.Verified, e.Counts.Rejected, e.Counts.CrossCheckFailed, e.Counts.Idle), e.Set.check())
}

func (m *Missed) check() error {
	if m == nil {
		return nil
	}
	if m.Ticks < 1 || m.Ticks > maxInteger {
		return errors.New("missed ticks are out of range")
	}
	return checkReason(m.Reason)
}

func (s *SetReference) check() error {
	if s == nil {
		return nil
	}
	if s.FirstSeq < 2 || s.LastSeq < s.FirstSeq || s.LastSeq > maxInteger {
		return errors.New("set's bounds are not sequences")
	}
	if s.Without != nil && len(s.Without) == 0 {
		return errors.New("set's without is empty")
	}
	return checkUUID(s.Tick, uuid.Version(7))
}
