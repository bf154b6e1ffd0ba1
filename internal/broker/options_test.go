package broker

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
)

func TestSyncsEveryWriteUnlessToldNotTo(t *testing.T) {
	for name, c := range map[string]struct {
		file     string // none: no config file
		noSync   bool
		always   bool
		interval time.Duration
	}{
		"by default":                   {"", false, true, 0},
		"told not to":                  {"", true, false, 0},
		"a file that does not say":     {"jetstream { max_file_store: 1GB }", false, true, 0},
		"an empty file":                {"# nothing\n", false, true, 0},
		"a file that says so":          {"jetstream { sync: always }", false, true, 2 * time.Minute},
		"a file with an interval":      {"jetstream { sync_interval: 10s }", false, false, 10 * time.Second},
		"told not to, and a file":      {"jetstream { sync: always }", true, false, 2 * time.Minute},
		"told not to, and a mute file": {"jetstream { max_file_store: 1GB }", true, false, 0},
	} {
		config := config(t)
		config.NoSync = c.noSync
		if c.file != "" {
			config.ConfigFile = configFile(t, c.file)
		}
		o, err := config.options()
		if err != nil || o.SyncAlways != c.always || o.SyncInterval != c.interval {
			t.Errorf("%s: always %v, interval %v, %v; want %v and %v", name, o.SyncAlways, o.SyncInterval, err, c.always, c.interval)
		}
	}
	b := start(t, config(t))
	defer stop(t, b)
	if v, err := b.server.Varz(nil); err != nil || !v.JetStream.Config.SyncAlways {
		t.Errorf("the running server says %+v, %v; want it to sync always", v.JetStream.Config, err)
	}
}

func TestLimitsAreExplicit(t *testing.T) {
	file := `
		max_payload: 2MB
		jetstream { store_dir: "/elsewhere", max_file_store: 3GB, max_memory_store: 4MB, limits { batch { max_msgs: 5 } } }`
	type limits struct {
		store, memory int64
		payload       int32
		batch         int
		dir           string
	}
	given := limits{1 << 21, 1 << 22, 1 << 23, 24, "/here"}
	for name, c := range map[string]struct {
		file  string
		given limits
		want  limits
	}{
		"defaults":       {"", limits{dir: "/here"}, limits{DefaultMaxStore, DefaultMaxMemory, DefaultMaxPayload, DefaultMaxBatch, "/here"}},
		"of a mute file": {"# nothing\n", limits{dir: "/here"}, limits{DefaultMaxStore, DefaultMaxMemory, DefaultMaxPayload, DefaultMaxBatch, "/here"}},
		"of a file":      {file, limits{}, limits{3 << 30, 4 << 20, 2 << 20, 5, "/elsewhere"}},
		"given":          {"", given, given},
		"given and file": {file, given, given},
	} {
		config := Config{
			StoreDir: c.given.dir, MaxStore: c.given.store, MaxMemory: c.given.memory, MaxPayload: c.given.payload, MaxBatch: c.given.batch,
		}
		if c.file != "" {
			config.ConfigFile = configFile(t, c.file)
		}
		o, err := config.options()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := limits{o.JetStreamMaxStore, o.JetStreamMaxMemory, o.MaxPayload, o.JetStreamLimits.MaxBatchSize, o.StoreDir}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestConfigText demands that the file that is written says what holds without,
// and lets in who is given with what is given, and nobody else.
func TestConfigText(t *testing.T) {
	setup := Setup{Listen: DefaultListen, StoreDir: "/a store", Account: "A", Users: []User{
		{"one", "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4", []string{"$JS.API.>", "a.*"}, []string{"_INBOX_one.>"}},
		{"two", "UCLPW2QJXWATMDEHXZQZN5YSMKFRHS7OTWDCXPETHTNH3UJJIF4LPHAE", nil, []string{"b"}},
	}}
	text := ConfigText(setup)
	if again := ConfigText(setup); again != text {
		t.Errorf("the same setup gives\n%s\nand\n%s", text, again)
	}
	file := Config{ConfigFile: configFile(t, text)}
	written, err := file.options()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := (Config{StoreDir: "/a store"}).options()
	if err != nil {
		t.Fatal(err)
	}
	type settings struct {
		name, host, store string
		port, batch       int
		disk, memory      int64
		payload           int32
		sync              bool
	}
	of := func(o *server.Options) settings {
		return settings{
			o.ServerName, o.Host, o.StoreDir, o.Port, o.JetStreamLimits.MaxBatchSize,
			o.JetStreamMaxStore, o.JetStreamMaxMemory, o.MaxPayload, o.SyncAlways,
		}
	}
	if of(written) != of(plain) {
		t.Errorf("the file gives %+v, without it %+v", of(written), of(plain))
	}
	if len(written.Nkeys) != len(setup.Users) || len(written.Users) > 0 || written.NoAuthUser != "" {
		t.Errorf("%d nkeys, %d users, %q without authentication", len(written.Nkeys), len(written.Users), written.NoAuthUser)
	}
	for _, u := range written.Nkeys {
		i := slices.IndexFunc(setup.Users, func(want User) bool { return want.Key == u.Nkey })
		if i < 0 || u.Account.Name != "A" {
			t.Fatalf("user %s of account %s is let in", u.Nkey, u.Account.Name)
		}
		want := setup.Users[i]
		if diff := cmp.Diff([][]string{want.Publish, want.Subscribe}, [][]string{u.Permissions.Publish.Allow, u.Permissions.Subscribe.Allow}); diff != "" {
			t.Errorf("user %s may (-want +got):\n%s", want.Name, diff)
		}
		if deny := u.Permissions.Publish.Deny; len(want.Publish) == 0 && !slices.Equal(deny, []string{">"}) {
			t.Errorf("user %s, who may publish nothing, is denied %q", want.Name, deny)
		}
	}
}
