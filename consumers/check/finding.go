package check

import "fleetlog/events"

// Code names one kind of breach. Codes are stable.
type Code string

// What can be broken in a log.
const (
	// CodeGap: the events stream has lost messages.
	CodeGap = Code("gap")
	// CodeChain: a tick that an accepted writer signed for its place has not the
	// next number, or does not name the tick before it.
	CodeChain = Code("chain")
	// CodeTime: a tick has a time before the one before it.
	CodeTime = Code("time")
	// CodeIncomplete: the findings that a signed tick counts are not before it.
	CodeIncomplete = Code("incomplete")
	// CodeStatement: a tick's statement is not what its findings are, or what the
	// last tick said.
	CodeStatement = Code("statement")
	// CodeDuplicate: two ticks have one id.
	CodeDuplicate = Code("duplicate")
	// CodeSet: a tick's set is not what the artifacts of its statement make.
	CodeSet = Code("set")
	// CodeFloor: the floor went down, is ahead of the clock, or is not that of the
	// newest verified fleet.
	CodeFloor = Code("floor")
	// CodeHash: a finding says of an artifact what its bytes do not say.
	CodeHash = Code("hash")
	// CodeArtifact: the artifacts stream does not hold the bytes that a finding
	// names.
	CodeArtifact = Code("artifact")
	// CodeArtifactGap: the artifacts stream has lost messages. The sequence is of
	// that stream.
	CodeArtifactGap = Code("artifact-gap")
)

// What can be broken in a state directory. The sequence is the checkpoint's.
const (
	// CodeCheckpoint: the file is not what a reducer wrote.
	CodeCheckpoint = Code("checkpoint")
	// CodeCheckpointLineage: the checkpoint is of another log.
	CodeCheckpointLineage = Code("checkpoint-lineage")
	// CodeCheckpointBeyond: the checkpoint is behind the log's end.
	CodeCheckpointBeyond = Code("checkpoint-beyond")
	// CodeCheckpointEvent: the log holds another event there.
	CodeCheckpointEvent = Code("checkpoint-event")
	// CodeCheckpointSet: the checkpoint names another set than the tick does, or
	// than the files make.
	CodeCheckpointSet = Code("checkpoint-set")
	// CodeCheckpointFloor: the checkpoint has another floor than the tick.
	CodeCheckpointFloor = Code("checkpoint-floor")
	// CodeCurrentMissing: `current` is not there, although there is a set.
	CodeCurrentMissing = Code("current-missing")
	// CodeCurrentDangling: `current` names what is not there.
	CodeCurrentDangling = Code("current-dangling")
	// CodeCurrentOther: `current` names something else than a generation, or an
	// older one than the checkpoint does.
	CodeCurrentOther = Code("current-other")
	// CodeGeneration: the files of a generation are not one whole set.
	CodeGeneration = Code("generation")
)

// Finding is one breach of an invariant.
type Finding struct {
	Code   Code   `json:"code"`
	Seq    uint64 `json:"seq"`
	Tick   uint64 `json:"tick,omitzero"` // number of the tick, where there is one
	Detail string `json:"detail"`
}

// maxKept is how many findings a report keeps.
const maxKept = 1000

// Report is what was looked at, and what is broken. Noise breaks nothing: no
// reader applies it.
type Report struct {
	Lineage   string    `json:"lineage"`
	Seq       uint64    `json:"seq"`    // of the last event read
	Tick      uint64    `json:"tick"`   // number of the last tick read
	Events    uint64    `json:"events"` // messages of the events stream, LogOpened included
	Ticks     uint64    `json:"ticks"`
	Noise     uint64    `json:"noise"`
	Artifacts uint64    `json:"artifacts"` // that were read
	Bytes     uint64    `json:"bytes"`     // of events and artifacts
	Position  *Position `json:"checkpoint,omitzero"`
	Found     uint64    `json:"found"`
	Findings  []Finding `json:"findings"` // the first 1000 of them
}

// Position is where the checkpoint of the state directory was when it was read.
type Position struct {
	Seq  uint64 `json:"seq"`
	Tick uint64 `json:"tick"`
}

func (r *Report) add(f Finding) {
	r.Found++
	if len(r.Findings) < maxKept {
		r.Findings = append(r.Findings, f)
	}
}

// at reports a breach at a tick.
func (r *Report) at(h events.Head, code Code, detail string) {
	r.add(Finding{code, h.Seq, h.Number, detail})
}
