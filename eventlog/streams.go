package eventlog

import (
	"fmt"
	"strings"

	"fleetlog/events"

	"github.com/nats-io/nats.go/jetstream"
)

// Limits of the two streams in bytes. Their sum must stay below the account's
// storage limit: only a stream's own limit is checked over a whole batch before
// any of it is stored.
type Limits struct {
	Events    int64
	Artifacts int64
	Replicas  int
}

// DefaultLimits keep some years of a fleet whose release changes a few times an
// hour.
func DefaultLimits() Limits {
	return Limits{Events: 4 << 30, Artifacts: 2 << 30, Replicas: 1}
}

// maxConsumers is given to both streams because the server reads -1 as its
// default of 1000.
const maxConsumers = 100000

// maxArtifactMessage leaves room for the headers of a batch around a part.
const maxArtifactMessage = 600 << 10

// eventsConfig is the stream of the fleet's events (docs/log-format.md
// section 1).
func eventsConfig(fleet events.FleetName, limits Limits) jetstream.StreamConfig {
	c := commonConfig(limits.Replicas)
	c.Name, c.Subjects = fleet.EventsStream(), []string{fleet.EventSubjects()}
	c.Description = "fleetlog events of fleet " + fleet.String()
	c.MaxBytes, c.MaxMsgSize = limits.Events, events.MaxBody
	return c
}

// artifactsConfig is the stream of the artifacts' bytes.
func artifactsConfig(fleet events.FleetName, limits Limits) jetstream.StreamConfig {
	c := commonConfig(limits.Replicas)
	c.Name, c.Subjects = fleet.ArtifactsStream(), []string{fleet.ArtifactSubjects()}
	c.Description = "fleetlog artifacts of fleet " + fleet.String()
	c.MaxBytes, c.MaxMsgSize = limits.Artifacts, maxArtifactMessage
	return c
}

func commonConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Compression: compression(replicas),
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true, AllowDirect: true,
		MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxConsumers: maxConsumers, Replicas: replicas,
	}
}

// compression is off where there are replicas: a server that compresses a
// replicated stream does so, at a restart, with the block that it goes on writing
// to, and cannot read that block when it is restarted again (seen with nats-server
// 2.15.2).
func compression(replicas int) jetstream.StoreCompression {
	if replicas > 1 {
		return jetstream.NoCompression
	}
	return jetstream.S2Compression
}

// Difference is one setting of a stream that is not what the log needs.
type Difference struct{ Setting, Want, Have string }

// DriftError refuses a stream whose settings would let history be lost.
type DriftError struct {
	Stream      string
	Differences []Difference
}

// Error lists the differences.
func (e *DriftError) Error() string {
	parts := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		parts[i] = fmt.Sprintf("%s is %s, want %s", d.Setting, d.Have, d.Want)
	}
	return fmt.Sprintf("stream %s would lose history: %s; correct its settings, or provision the log of another fleet name", e.Stream, strings.Join(parts, "; "))
}

// drift compares what is set with what keeps history. Limits in bytes and
// replicas are the operator's; they only have to be there.
func drift(want, have jetstream.StreamConfig) error {
	var found []Difference
	check := func(setting string, want, have any) {
		if w, h := fmt.Sprint(want), fmt.Sprint(have); w != h {
			found = append(found, Difference{setting, w, h})
		}
	}
	check("storage", want.Storage, have.Storage)
	if have.Replicas > 1 { // what one server stores alone may be compressed or not
		check("compression of a replicated stream", compression(have.Replicas), have.Compression)
	}
	check("retention", want.Retention, have.Retention)
	check("discard", want.Discard, have.Discard)
	check("discard new per subject", want.DiscardNewPerSubject, have.DiscardNewPerSubject)
	check("deny delete", want.DenyDelete, have.DenyDelete)
	check("deny purge", want.DenyPurge, have.DenyPurge)
	check("max age", want.MaxAge, have.MaxAge)
	check("max messages", want.MaxMsgs, have.MaxMsgs)
	check("max messages per subject", want.MaxMsgsPerSubject, have.MaxMsgsPerSubject)
	check("rollup", want.AllowRollup, have.AllowRollup)
	check("message ttl", want.AllowMsgTTL, have.AllowMsgTTL)
	check("subject delete marker ttl", want.SubjectDeleteMarkerTTL, have.SubjectDeleteMarkerTTL)
	check("schedules", want.AllowMsgSchedules, have.AllowMsgSchedules)
	check("sealed", want.Sealed, have.Sealed)
	if have.Mirror == nil {
		check("subjects", want.Subjects, have.Subjects)
		check("atomic publish", want.AllowAtomicPublish, have.AllowAtomicPublish)
	}
	check("sources", 0, len(have.Sources))
	check("subject transform", want.SubjectTransform != nil, have.SubjectTransform != nil)
	check("direct get", want.AllowDirect, have.AllowDirect)
	if have.MaxBytes <= 0 {
		found = append(found, Difference{"max bytes", "an explicit limit", "unlimited"})
	}
	if have.MaxMsgSize > 0 && have.MaxMsgSize < want.MaxMsgSize {
		found = append(found, Difference{"max message size", fmt.Sprint(want.MaxMsgSize), fmt.Sprint(have.MaxMsgSize)})
	}
	if have.MaxConsumers <= 0 {
		found = append(found, Difference{"max consumers", fmt.Sprint(want.MaxConsumers), fmt.Sprint(have.MaxConsumers)})
	}
	if len(found) == 0 {
		return nil
	}
	return &DriftError{Stream: have.Name, Differences: found}
}
