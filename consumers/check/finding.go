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
	// CodeSignature: what stands where a tick must be is not signed by the writer
	// that it names, or by none that is accepted.
	CodeSignature = Code("signature")
	// CodeWriter: a tick is signed by a key at a time at which that did not count.
	CodeWriter = Code("writer")
	// CodeRefused: an artifact that the writer verified is refused under the trust
	// and the windows that held.
	CodeRefused = Code("refused")
	// CodeHead: a head that is known from elsewhere is not in the log.
	CodeHead = Code("head")
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

// What keeps a log or a bundle from being read at all, or makes a bundle other
// than it was.
const (
	// CodeOpening: the log does not begin with a LogOpened by an accepted writer.
	CodeOpening = Code("opening")
	// CodeStreams: the streams have settings under which history is lost.
	CodeStreams = Code("streams")
	// CodeBundle: a file of the bundle is not what the bundle lists, or the bundle
	// is not of its form.
	CodeBundle = Code("bundle")
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
	File   string `json:"file,omitzero"` // of a bundle

	// Where two values can be held against each other, both.
	Expected string `json:"expected,omitzero"`
	Found    string `json:"found,omitzero"`
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

	// What an audit tells beside it.
	ByCode      map[Code]uint64 `json:"-"` // how many were found
	First       events.Head     `json:"-"` // the first tick
	Head        events.Head     `json:"-"` // the last tick, or what the part begins behind
	Skipped     uint64          `json:"-"` // ticks that verified no fleet
	Signatures  uint64          `json:"-"` // of LogOpened and ticks, that were looked at
	Judged      uint64          `json:"-"` // artifacts that were verified under trust
	Unjudged    uint64          `json:"-"` // statements for whose time no trust is known, or whose artifacts are lost
	Compared    int             `json:"-"` // known heads that are in the log
	Outside     []KnownHead     `json:"-"` // known heads from before what was read
	Missed      uint64          `json:"-"` // ticks that were not recorded
	OutageCount uint64          `json:"-"`
	Outages     []Outage        `json:"-"` // the first 1000 of them
}

// Position is where the checkpoint of the state directory was when it was read.
type Position struct {
	Seq  uint64 `json:"seq"`
	Tick uint64 `json:"tick"`
}

// Add takes a finding into the report.
func (r *Report) Add(f Finding) { r.add(f) }

func (r *Report) add(f Finding) {
	r.Found++
	if r.ByCode == nil {
		r.ByCode = make(map[Code]uint64)
	}
	r.ByCode[f.Code]++
	if len(r.Findings) < maxKept {
		r.Findings = append(r.Findings, f)
	}
}

// at reports a breach at a tick.
func (r *Report) at(h events.Head, code Code, detail string) {
	r.add(Finding{Code: code, Seq: h.Seq, Tick: h.Number, Detail: detail})
}
