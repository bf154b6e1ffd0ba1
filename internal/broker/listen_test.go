package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlog/internal/fleetsim"
)

func TestWhereItListens(t *testing.T) {
	for _, c := range []struct{ file, given, want string }{
		{"", "", "127.0.0.1:4222"},
		{"", "127.0.0.2:5000", "127.0.0.2:5000"},
		{"port: 5001", "", "127.0.0.1:5001"},
		{"host: 127.0.0.3", "", "127.0.0.3:4222"},
		{`listen: "127.0.0.3:5002"`, "", "127.0.0.3:5002"},
		{`listen: "127.0.0.3:5002"`, "127.0.0.2:5000", "127.0.0.2:5000"},
		{"", "[::1]:-1", "[::1]:-1"},
	} {
		config := Config{Listen: c.given, StoreDir: "/here"}
		if c.file != "" {
			config.ConfigFile = configFile(t, c.file)
		}
		o, err := config.options()
		if err != nil {
			t.Fatal(err)
		}
		if got := net.JoinHostPort(o.Host, fmt.Sprint(o.Port)); got != c.want {
			t.Errorf("file %q, given %q: %s, want %s", c.file, c.given, got, c.want)
		}
	}
	for _, bad := range []string{"4222", "127.0.0.1", "127.0.0.1:", ":4222", "127.0.0.1:0", "127.0.0.1:4222a", "127.0.0.1:65536", "127.0.0.1:-2"} {
		if _, err := (Config{Listen: bad, StoreDir: "/here"}).options(); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

// TestOpenToNobodyUnknown demands that every door of the server that is not on
// loopback has TLS and asks who comes.
func TestOpenToNobodyUnknown(t *testing.T) {
	pki, err := fleetsim.NewPKI(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := pki.WriteServer(dir); err != nil {
		t.Fatal(err)
	}
	tls := fmt.Sprintf("tls { cert_file: %q, key_file: %q }", filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	mutual := fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }",
		filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"), filepath.Join(dir, "ca.pem"))
	const users = "authorization { users: [{ user: a, password: b }] }\n"
	const anywhere, here = "listen: 0.0.0.0:-1\n", "listen: 127.0.0.1:-1\n"
	for name, c := range map[string]struct {
		file string
		ok   bool
	}{
		"loopback":                           {here, true},
		"localhost":                          {"listen: localhost:-1\n", true},
		"loopback of IPv6":                   {`listen: "[::1]:-1"`, true},
		"everywhere":                         {anywhere, false},
		"everywhere of IPv6":                 {`listen: "[::]:-1"`, false},
		"a name":                             {"listen: example.com:-1\n", false},
		"users without TLS":                  {anywhere + users, false},
		"TLS without users":                  {anywhere + tls, false},
		"TLS and users":                      {anywhere + users + tls, true},
		"TLS and a token":                    {anywhere + "authorization { token: t }\n" + tls, true},
		"TLS and an nkey":                    {anywhere + "authorization { users: [{ nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 }] }\n" + tls, true},
		"mutual TLS":                         {anywhere + mutual, true},
		"mutual TLS, and plain text too":     {anywhere + mutual + "\nallow_non_tls: true\n", false},
		"users, and one for those unknown":   {anywhere + "authorization { users: [{ user: a, password: b }] }\nno_auth_user: a\n" + tls, false},
		"websocket everywhere":               {here + users + "websocket { listen: 0.0.0.0:-1, no_tls: true }\n", false},
		"websocket with TLS":                 {here + users + "websocket { listen: 0.0.0.0:-1, " + tls + " }\n", true},
		"websocket with TLS for all":         {here + "websocket { listen: 0.0.0.0:-1, " + tls + " }\n", false},
		"websocket with TLS, and without":    {here + users + "websocket { listen: 0.0.0.0:-1, no_tls: true, " + tls + " }\n", false},
		"websocket here":                     {here + "websocket { listen: 127.0.0.1:-1, no_tls: true }\n", true},
		"leaf nodes everywhere":              {here + "leafnodes { listen: 0.0.0.0:-1 }\n", false},
		"leaf nodes on a port":               {here + "leafnodes { port: 7422 }\n", false},
		"leaf nodes with TLS and a user":     {here + "leafnodes { listen: 0.0.0.0:-1, authorization { user: a, password: b }, " + tls + " }\n", true},
		"leaf nodes with mutual TLS":         {here + "leafnodes { listen: 0.0.0.0:-1, " + mutual + " }\n", true},
		"leaf nodes here":                    {here + "leafnodes { listen: 127.0.0.1:-1 }\n", true},
		"cluster everywhere":                 {here + "cluster { name: c, listen: 0.0.0.0:-1 }\n", false},
		"cluster with TLS, which it demands": {here + "cluster { name: c, listen: 0.0.0.0:-1, " + mutual + " }\n", true},
		"cluster here":                       {here + "cluster { name: c, listen: 127.0.0.1:-1 }\n", true},
		"gateway everywhere":                 {here + "gateway { name: g, listen: 0.0.0.0:-1 }\n", false},
		"mqtt everywhere":                    {here + users + "mqtt { listen: 0.0.0.0:-1 }\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			config := config(t)
			config.Name, config.Listen, config.ConfigFile = "one", "", configFile(t, c.file)
			o, err := config.options()
			if err != nil {
				t.Fatal(err)
			}
			if err := checkListen(o); (err == nil) != c.ok {
				t.Errorf("%v, want it allowed %v", err, c.ok)
			}
		})
	}
	c := config(t)
	c.Listen = "0.0.0.0:-1"
	var refused *ConfigError
	if _, err := New(c); !errors.As(err, &refused) || !strings.Contains(err.Error(), "--allow-insecure-listen") {
		t.Errorf("new server everywhere: %v, want a ConfigError that says what to do", err)
	}
	if _, err := os.Stat(c.StoreDir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a store was made for a refused configuration")
	}
	c.AllowInsecureListen = true
	stop(t, start(t, c))
}
