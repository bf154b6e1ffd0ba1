package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/durable"
	"fleetlog/internal/process"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"
)

func initCommand() *cobra.Command {
	var fleet, listen, output string
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "make a server's config, and keys of its users and of the writer",
		Long: `init makes in DIR all that a fleet's log needs on a new server: embedded-nats.conf,
which stores below DIR and lets in four users, each with the least permissions for
what it does; the key of each, as ROLE.nkey; a context of the nats tool that connects
with it, in nats/context; and writer.key, the key that signs ticks, which belongs to
the poller alone. All files can be read by their owner only. It replaces nothing.

The users are admin, who makes, backs up and restores the log; poller, who appends to
it; reducer, who follows it; and auditor, who reads all of it. Every command takes the
file of a context: --context DIR/nats/context/FLEET-ROLE.json.

Exit status: 0 made; 1 something is there already; 2 not made.`,
		Example: "embedded-nats init ./fleet --fleet prod",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := initialize(args[0], fleet, listen)
			if errors.Is(err, fs.ErrExist) {
				return process.Exit(process.ExitNo, err)
			}
			if err != nil {
				return process.Exit(process.ExitUnknown, err)
			}
			return m.print(cmd, output)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&fleet, "fleet", "", "name of the fleet")
	flags.StringVar(&listen, "listen", broker.DefaultListen, "address for clients, host:port, in the config and the contexts")
	process.OutputVar(flags, &output)
	return cmd
}

// made is what init makes.
type made struct {
	Directory string           `json:"directory"`
	Config    string           `json:"config"`
	WriterKey string           `json:"writerKeyFile"`
	Writer    events.PublicKey `json:"writer"`
	Users     []user           `json:"users"`
}

type user struct {
	Role    eventlog.Role `json:"role"`
	Key     string        `json:"key"` // public
	KeyFile string        `json:"nkeyFile"`
	Context string        `json:"contextFile"`
}

func plan(dir string, fleet events.FleetName) made {
	m := made{Directory: dir, Config: filepath.Join(dir, "embedded-nats.conf"), WriterKey: filepath.Join(dir, "writer.key")}
	for _, role := range eventlog.Roles() {
		m.Users = append(m.Users, user{
			Role: role, KeyFile: filepath.Join(dir, string(role)+".nkey"),
			Context: filepath.Join(dir, "nats", "context", fleet.String()+"-"+string(role)+".json"),
		})
	}
	return m
}

// initialize makes the config last: where it is, everything is.
func initialize(dir, fleetName, listen string) (m made, err error) {
	fleet, err := events.ParseFleetName(fleetName)
	if err != nil {
		return m, fmt.Errorf("--fleet: %w", err)
	}
	if _, _, err := net.SplitHostPort(listen); err != nil {
		return m, fmt.Errorf("--listen: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return m, err
	}
	m = plan(dir, fleet)
	if err := m.refuseExisting(); err != nil {
		return m, err
	}
	if err := durable.MakeDir(filepath.Join(dir, "nats", "context"), 0o700); err != nil {
		return m, err
	}
	key, err := process.CreateWriterKey(m.WriterKey, rand.Reader)
	if err != nil {
		return m, err
	}
	writer, err := events.NewWriter(key)
	if err != nil {
		return m, err
	}
	m.Writer = writer.Public()
	setup := broker.Setup{Listen: listen, StoreDir: filepath.Join(dir, "store"), Account: "FLEETLOG"}
	for i := range m.Users {
		if err := m.Users[i].make(fleet, listen, rand.Reader); err != nil {
			return m, err
		}
		setup.Users = append(setup.Users, m.Users[i].permitted(fleet))
	}
	return m, durable.CreateExclusive(m.Config, []byte(broker.ConfigText(setup)), 0o600)
}

func (m made) refuseExisting() error {
	files := []string{m.Config, m.WriterKey}
	for _, u := range m.Users {
		files = append(files, u.KeyFile, u.Context)
	}
	for _, file := range files {
		switch _, err := os.Lstat(file); {
		case err == nil:
			return fmt.Errorf("%s: %w: give a new directory", file, fs.ErrExist)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

// natsContext is what the nats tool saves of a context, as far as it is set here.
type natsContext struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	NKey        string `json:"nkey"`
	InboxPrefix string `json:"inbox_prefix"`
}

// make makes the user's key and context.
func (u *user) make(fleet events.FleetName, listen string, random io.Reader) error {
	pair, err := nkeys.CreatePairWithRand(nkeys.PrefixByteUser, random)
	if err != nil {
		return fmt.Errorf("make nkey of %s: %w", u.Role, err)
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err == nil {
		u.Key, err = pair.PublicKey()
	}
	if err != nil {
		return fmt.Errorf("make nkey of %s: %w", u.Role, err)
	}
	if err := durable.CreateExclusive(u.KeyFile, append(seed, '\n'), 0o600); err != nil {
		return err
	}
	var text strings.Builder
	err = process.PrintJSON(&text, natsContext{
		Description: fmt.Sprintf("fleetlog %s of fleet %s", u.Role, fleet),
		URL:         "nats://" + listen, NKey: u.KeyFile, InboxPrefix: u.Role.InboxPrefix(),
	})
	if err != nil {
		return err
	}
	return durable.CreateExclusive(u.Context, []byte(text.String()), 0o600)
}

func (u user) permitted(fleet events.FleetName) broker.User {
	p := u.Role.Permissions(fleet)
	return broker.User{Name: string(u.Role), Key: u.Key, Publish: p.Publish, Subscribe: p.Subscribe}
}

func (m made) print(cmd *cobra.Command, output string) error {
	out := cmd.OutOrStdout()
	if output != process.TableForm {
		return process.PrintJSON(out, m)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "config     %s\nwriter key %s\nwriter     %s\n", m.Config, m.WriterKey, m.Writer)
	for _, u := range m.Users {
		fmt.Fprintf(&text, "%-10s --context %s\n", u.Role, u.Context)
	}
	fmt.Fprintf(&text, "\nThe nats tool takes the same --context; with XDG_CONFIG_HOME=%s it lists them.\n", m.Directory)
	fmt.Fprintf(&text, "\nnext: embedded-nats run --config %s\n", m.Config)
	_, err := io.WriteString(out, text.String())
	return err
}
