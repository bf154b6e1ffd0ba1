package natscli

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// backupPatience bounds one way through a backup and back: a reducer notices
// after seconds that a broker has lost what it followed.
const backupPatience = 2 * time.Minute

// TestBackup runs the commands of docs/backup.md as they stand there.
func TestBackup(t *testing.T) {
	programs := build(t)
	for name, test := range map[string]func(context.Context, *scene){
		"the end of the log":        restoreEnd,
		"an older state":            restoreOlder,
		"events without artifacts":  restoreEventsOnly,
		"artifacts before events":   restoreOlderArtifacts,
		"the log in the next epoch": continueLog,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), backupPatience)
			defer cancel()
			s := newScene(t, programs)
			s.release("older", "medium-composite", "medium-composite")
			s.release("newer", "resigned-1-composite", "resigned-1-composite")
			s.serveRelease("older")
			s.serve(ctx)
			s.poll(ctx, "served", 0, "--provision")
			test(ctx, s)
		})
	}
}

// restoreEnd: nothing is lost, and everybody goes on; the poller is held up for as
// long as there is no log.
func restoreEnd(ctx context.Context, s *scene) {
	poller, reducer := s.runPoller(), s.runReducer("state")
	s.ticks(ctx, 4)
	s.reaches(ctx, "state", 2)
	poller.pause(ctx, s.t)
	before := s.head(ctx)
	s.shell(ctx, documented(s.t, "Backup")...)
	s.lose(ctx)
	if printed := s.shell(ctx, documented(s.t, "Restore")...); !strings.Contains(printed, "BROKEN") {
		s.t.Errorf("restore says:\n%s", printed)
	}
	if after := s.head(ctx); after != before {
		s.t.Errorf("restored %+v, want %+v", after, before)
	}
	poller.signal(syscall.SIGCONT)
	s.ticks(ctx, before.Number+3)
	s.reaches(ctx, "state", before.Number+2)
	s.unbroken(ctx, "state")
	if names := s.quarantined("state"); len(names) > 0 || strings.Contains(reducer.stderr.String(), "folding the log anew") {
		s.t.Errorf("reducer began anew, and set aside %v", names)
	}
}

// restoreOlder: the backup is taken while the poller writes, and what the poller
// and a reducer have seen since is lost, a newer fleet too.
func restoreOlder(ctx context.Context, s *scene) {
	poller, reducer := s.runPoller(), s.runReducer("state")
	s.ticks(ctx, 4)
	s.shell(ctx, documented(s.t, "Backup")...)
	s.serveRelease("newer")
	s.ticks(ctx, s.head(ctx).Number+3)
	s.reaches(ctx, "state", s.head(ctx).Number)
	s.serves("state", "newer")
	poller.pause(ctx, s.t)
	lost := s.head(ctx)
	s.lose(ctx)
	s.shell(ctx, documented(s.t, "Restore")...)
	restored := s.head(ctx)
	if restored.Lineage != lost.Lineage || restored.Number >= lost.Number || restored.Floor == lost.Floor {
		s.t.Fatalf("restored %+v, lost %+v", restored, lost)
	}

	// The one that ran through says why it ends.
	poller.signal(syscall.SIGCONT)
	poller.says(ctx, s.t, `stream does not hold the position read before: .*: the log was put back or replaced; if that was meant, start again`)
	select {
	case <-poller.done:
	case <-ctx.Done():
		s.t.Fatal("poller does not end")
	}
	if code := poller.cmd.ProcessState.ExitCode(); code != 1 {
		s.t.Errorf("poller ends with %d, want 1", code)
	}

	// The log has forgotten the newer fleet, the reducer has not.
	s.poll(ctx, "older", 0)
	reducer.says(ctx, s.t, "folding the log anew: it does not hold the event of the checkpoint any more")
	reducer.says(ctx, s.t, "Rollback")
	s.serves("state", "newer")

	s.runPoller()
	s.ticks(ctx, restored.Number+4)
	s.reaches(ctx, "state", restored.Number+3)
	s.serves("state", "newer")
	if now := s.head(ctx); now.Floor != lost.Floor {
		s.t.Errorf("floor is %+v, want that of before, %+v", now.Floor, lost.Floor)
	}
	s.unbroken(ctx, "state")
	if names := s.quarantined("state"); len(names) != 1 {
		s.t.Errorf("reducer set aside %v, want its checkpoint", names)
	}
}

// restoreEventsOnly: nobody takes a log without its artifacts for one.
func restoreEventsOnly(ctx context.Context, s *scene) {
	reducer := s.runReducer("state")
	s.reaches(ctx, "state", 1)
	s.shell(ctx, documented(s.t, "Backup")...)
	s.lose(ctx)
	restore := documented(s.t, "Restore")
	s.shell(ctx, restore[1])
	const missing = "nixfleet-prod-artifacts"
	if said := s.poll(ctx, "newer", 2); !strings.Contains(said, missing) || !strings.Contains(said, "does not exist") {
		s.t.Errorf("poller says %s", said)
	}
	if said := s.poll(ctx, "newer", 2, "--provision"); !strings.Contains(said, missing) || !strings.Contains(said, "restore") {
		s.t.Errorf("poller that may make a log says %s", said)
	}
	out, code := s.run(ctx, s.program("fleetlog"), "provision", "--fleet", "prod", "--writer-key-file", s.path("writer.key"))
	if code != 1 || !strings.Contains(out, "log has ticks but no artifacts stream") {
		s.t.Errorf("provision: exit code %d\n%s", code, out)
	}
	reducer.says(ctx, s.t, missing+": stream does not exist")
	s.serves("state", "older")
	s.shell(ctx, restore[0], restore[2])
	s.poll(ctx, "newer", 0)
	s.reaches(ctx, "state", 2)
	s.serves("state", "newer")
	s.unbroken(ctx, "state")
}

// restoreOlderArtifacts backs up in the wrong order while the release changes.
func restoreOlderArtifacts(ctx context.Context, s *scene) {
	reducer := s.runReducer("state")
	backup := documented(s.t, "Backup")
	s.shell(ctx, backup[1])
	s.poll(ctx, "newer", 0)
	s.reaches(ctx, "state", 2)
	s.shell(ctx, backup[0])
	s.lose(ctx)
	restore := documented(s.t, "Restore")
	s.shell(ctx, restore[:2]...)
	if out, code := s.run(ctx, "sh", "-c", restore[2]); code != 1 || !strings.Contains(out, "artifact") {
		s.t.Errorf("fsck: exit code %d\n%s", code, out)
	}
	// Who has the set keeps it; who has not waits at the tick.
	s.serves("state", "newer")
	late := []string{"--fleet", "prod", "--nats-url", s.url("poller"), "--state-dir", s.path("late"),
		"--trust-file", s.path("trust.json"), "--trust-first-use", "--manifest-freshness-window-secs", window}
	out, code := s.run(ctx, s.program("reducer"), append([]string{"rebuild"}, late...)...)
	waits := regexp.MustCompile(`tick 2 waits: artifact [0-9a-f]{64}: .*; if that is lost, start once with --accept-gap (\d+)`).FindStringSubmatch(out)
	if code == 0 || waits == nil {
		s.t.Fatalf("rebuild: exit code %d\n%s", code, out)
	}

	// The poller stores what is lost anew, and states it.
	if said := s.poll(ctx, "newer", 0); !strings.Contains(said, "an artifact of the last set is lost: storing all of them anew") {
		s.t.Errorf("poller says %s", said)
	}
	s.reaches(ctx, "state", 3)
	s.serves("state", "newer")
	if names := s.quarantined("state"); len(names) > 0 {
		s.t.Errorf("reducer set aside %v\n%s", names, reducer.stderr)
	}
	s.runReducer("late", "--accept-gap", waits[1])
	s.reaches(ctx, "late", 3)
	s.serves("late", "newer")
}

// continueLog makes the next epoch of the log, and reads the old one where it was
// put back under another account.
func continueLog(ctx context.Context, s *scene) {
	s.poll(ctx, "newer", 0)
	reducer := s.runReducer("state")
	s.reaches(ctx, "state", 2)
	old := s.head(ctx)
	commands := documented(s.t, "A new epoch")
	start := slices.IndexFunc(commands, func(c string) bool { return strings.HasPrefix(c, "reducer run") })
	s.shell(ctx, commands[:start]...)
	epoch := s.head(ctx)
	if epoch.Lineage == old.Lineage || epoch.Number != 0 || epoch.Floor != old.Floor {
		s.t.Fatalf("new log is at %+v, the old one was at %+v", epoch, old)
	}
	if said := s.poll(ctx, "older", 2); !strings.Contains(said, "first tick of a continued log is not verified") {
		s.t.Errorf("poller says %s", said)
	}
	s.poll(ctx, "newer", 0)
	s.poll(ctx, "older", 1)
	reducer.says(ctx, s.t, "--accept-lineage "+epoch.Lineage)
	s.serves("state", "newer")
	reducer.signal(syscall.SIGTERM)
	<-reducer.done

	again := strings.ReplaceAll(commands[start], "LINEAGE", epoch.Lineage)
	accepting := s.start(append(s.environment("poller"), "NIXFLEET_REDUCER_NATS_URL="+s.url("poller"),
		"NIXFLEET_REDUCER_MANIFEST_FRESHNESS_WINDOW_SECS="+window), "sh", "-c", again)
	accepting.says(ctx, s.t, `caught up with the log" seq=\d+ tick=2`)
	s.serves("state", "newer")
	s.unbroken(ctx, "state")

	if err := os.RemoveAll(s.path("backup")); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.path("epoch"), s.path("backup")); err != nil {
		s.t.Fatal(err)
	}
	s.lose(ctx)
	s.shell(ctx, documented(s.t, "Restore")...)
	if archived := s.head(ctx); archived != old {
		s.t.Errorf("the old log's end is %+v, want %+v", archived, old)
	}
}
