package producers

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

// record stores the artifacts that the log does not name yet, then the tick.
func (p *Poller) record(ctx context.Context, began time.Time, result *Result) (*events.Tick, error) {
	if err := p.storeArtifacts(ctx, result); err != nil {
		return nil, err
	}
	id, err := p.NewTickID()
	if err != nil {
		return nil, fmt.Errorf("make tick id: %w", err)
	}
	draft := events.Draft{
		Tick: id.String(), Time: events.TimeOf(p.instant(began)), Findings: result.Findings,
		Set: result.Reference(), Floor: result.Memory.Floor, Interval: p.Interval,
	}
	terms, verified := p.Terms, result.Outcome() == events.Verified
	if before := p.writer.Base().Head.Completed; before != nil && (result.Unjudged || p.lost && !verified) {
		draft.Set = before.Set
	}
	if p.lost && verified {
		terms.RestateEvery = 0 // the last statement names what is lost
	}
	if p.missed > 0 {
		draft.Missed = &events.Missed{Ticks: p.missed, Reason: p.why}
	}
	draft.TookMs = uint64(max(0, p.Clock().Sub(began)).Milliseconds())
	return p.writer.Append(ctx, func(base events.Base, firstSeq uint64) ([]events.Message, error) {
		messages, err := events.Compose(base, draft, terms, firstSeq)
		if err == nil && p.isLate(began) { // the last thing before it is published
			err = fmt.Errorf("%w of %s", ErrOverrun, p.TickTimeout)
		}
		return messages, err
	})
}

// isLate tells whether the tick's deadline is over by either clock: a process that
// was stopped goes on before its context has noticed, and the monotonic clock of a
// machine that was suspended has stood still.
func (p *Poller) isLate(began time.Time) bool {
	now := p.Clock()
	return max(now.Sub(began), now.Round(0).Sub(began.Round(0))) > p.TickTimeout
}

// puts is how many artifacts are stored at once.
const puts = 16

// storeArtifacts fills in the parts of every artifact, storing those whose
// bytes neither the last statement nor the statement of the set names, nor an
// earlier tick of this process that could not be recorded. Several are stored at
// once: a broker that syncs every write then syncs several together.
func (p *Poller) storeArtifacts(ctx context.Context, result *Result) error {
	named := p.named()
	stored := maps.Clone(named)
	missing := make(map[manifest.Digest]events.Finding)
	for _, f := range result.Findings {
		if a := events.ArtifactOf(f); a != nil && stored[a.SHA256] == nil {
			missing[a.SHA256] = f
		}
	}
	var mu sync.Mutex
	group, storing := errgroup.WithContext(ctx)
	group.SetLimit(min(p.Poll.limit(), puts))
	for digest, f := range missing {
		group.Go(func() error {
			parts, err := p.log.PutArtifact(storing, p.artifactSubject(f), result.Artifacts[digest], p.like(f, named))
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			stored[digest], p.put[digest] = parts, parts
			p.stored.put(parts)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		p.stored.forget()
		return err
	}
	for _, f := range result.Findings {
		if a := events.ArtifactOf(f); a != nil {
			a.Parts = stored[a.SHA256]
		}
	}
	return nil
}

// named are the parts of the artifacts that need not be stored again.
func (p *Poller) named() map[manifest.Digest][]uint64 {
	base := p.writer.Base()
	stored := maps.Clone(p.put)
	if p.lost {
		return stored
	}
	for _, findings := range [][]events.Finding{base.LastVerified, base.Last} {
		for _, f := range findings {
			if a := events.ArtifactOf(f); a != nil {
				stored[a.SHA256] = a.Parts
			}
		}
	}
	return stored
}

// like is what the set before the tick has of the finding's kind: most of its
// parts, where it has several, are those of the one that came.
func (p *Poller) like(f events.Finding, named map[manifest.Digest][]uint64) eventlog.Kept {
	set := p.memory.Set
	if set == nil {
		return eventlog.Kept{}
	}
	channel, about := f.ChannelName()
	if !about {
		return eventlog.Kept{Body: set.Fleet().Received().Body, Parts: named[set.Fleet().Artifact()]}
	}
	rollout, ok := set.Rollout(channel)
	if !ok {
		return eventlog.Kept{}
	}
	return eventlog.Kept{Body: rollout.Received().Body, Parts: named[rollout.Artifact()]}
}

func (p *Poller) artifactSubject(f events.Finding) string {
	if channel, ok := f.ChannelName(); ok {
		return p.log.Fleet().RolloutArtifactSubject(channel)
	}
	return p.log.Fleet().FleetArtifactSubject()
}

// recorded takes the tick as the past of the next one.
func (p *Poller) recorded(tick *events.Tick, result *Result) {
	if p.held != "" || !result.Unjudged {
		p.held = tick.Head.Tick
	}
	p.memory = result.Memory
	p.lost = p.lost && tick.Completed.Outcome != events.Verified
	p.missed, p.why = 0, ""
	clear(p.put)
	p.standby = false
	p.Ready(nil)
	t := tick.Completed
	if t.Outcome == events.Verified {
		p.Verified()
	}
	log := p.Log.WithFields(logrus.Fields{
		"tick": t.Number, "seq": t.Seq, "outcome": t.Outcome,
		"verified": t.Counts.Verified, "rejected": t.Counts.Rejected,
		"crossCheckFailed": t.Counts.CrossCheckFailed, "idle": t.Counts.Idle,
	})
	log.WithField("digest", tick.Head.Digest).Debug("tick recorded")
	p.state.changeWith(log, fmt.Sprint(t.Outcome, t.Statement.Tick), t.Message, t.Severity)
	findings := tick.Findings
	if len(findings) == 0 {
		findings = result.Findings
	}
	for _, f := range findings {
		if f.Head().New || !p.state.named {
			p.logFinding(f)
		}
	}
	p.state.named = true
	p.Committed(tick)
	p.warnAging(result.Findings, tick.Head.Time.Time())
	p.warnOfContent(result.Memory.Set)
	p.warnOfKeys(result)
}

// stateLog writes one line for every change of state.
type stateLog struct {
	log   logrus.FieldLogger
	last  string
	named bool // what is refused was named once, new to the log or not
}

func (s *stateLog) change(state, message string) {
	s.changeWith(s.log, state, message, events.Warning)
}

func (s *stateLog) changeWith(log logrus.FieldLogger, state, message string, severity events.Severity) {
	if state == s.last {
		return
	}
	s.last = state
	if severity == events.Info {
		log.Info(message)
	} else {
		log.Warn(message)
	}
}

// logFinding writes a refusal with its reason, where it came from and where to
// read what to do; what is in order is not written.
func (p *Poller) logFinding(f events.Finding) {
	fields := logrus.Fields{}
	if channel, ok := f.ChannelName(); ok {
		fields["channel"] = channel
	}
	code := ""
	switch f := f.(type) {
	case *events.FleetRejected:
		fields["reason"], fields["detail"], code = f.Reason, f.Detail, string(f.Reason)
	case *events.RolloutRejected:
		fields["reason"], fields["detail"], code = f.Reason, f.Detail, string(f.Reason)
	case *events.CrossCheckFailed:
		fields["check"], fields["expected"], fields["actual"], code = f.Check, f.Expected, f.Actual, f.Check
	case *events.RolloutVerified:
		if f.Carried == "" {
			return
		}
		fields["carried"], code = f.Carried, string(f.Carried)
	case *events.ChannelIdle:
		if f.Reason != events.Removed {
			return
		}
		code = string(f.Reason)
	default:
		return
	}
	fields["hint"] = "fleetlog explain " + code
	if p.From != "" && code != string(events.TrustInvalid) {
		fields["source"] = p.From
	}
	p.Log.WithFields(fields).Warn(events.Describe(f))
}
