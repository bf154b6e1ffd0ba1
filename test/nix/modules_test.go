package nix

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesParse parses every Nix file of the project.
func TestFilesParse(t *testing.T) {
	all := files(t, ".nix")
	if len(all) < 14 {
		t.Fatalf("only %d files: %q", len(all), all)
	}
	for i := range all {
		all[i] = filepath.Join(root, all[i])
	}
	if _, errs, err := runNix(t, "nix-instantiate", append([]string{"--parse"}, all...)...); err != nil {
		t.Errorf("%v\n%s", err, errs)
	}
}

// oneHost has everything on one host, and names no secret.
const oneHost = `{ services.fleetlog = {
  fleet = "prod"; trustFile = "/etc/trust.json"; nats.enable = true; reducer.enable = true;
  poller = { enable = true; controlPlaneUrl = "https://fleet.example.com"; };
}; }`

// remote is a reducer alone whose broker is elsewhere.
const remote = `{ services.fleetlog = { fleet = "prod"; reducer = {
  enable = true; trustFile = "/etc/trust.json"; stateDir = "/var/lib/set";
  writerKeys = [ "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" "a2V5" ];
  nats = { url = "tls://a:4222,tls://b:4222"; nkeySeedFile = "/run/secrets/my reducer$%.nkey"; tls.caCert = "/etc/nats ca.pem"; };
  http = { listen = "0.0.0.0:9478"; cert = "/c/cert.pem"; key = "/c/key.pem"; clientCA = "/c/ca.pem"; openFirewall = true; };
}; }; }`

// pollerAlone polls a directory and connects with a context.
const pollerAlone = `{ services.fleetlog = { fleet = "prod"; poller = {
  enable = true; trustFile = "/etc/trust.json"; releaseDir = "/srv/releases"; writerKeyFile = "/run/secrets/writer.key";
  pollInterval = 60; freshnessFromChannels = true; logFormat = "json"; extraFlags = [ "--concurrency=4" ]; http.listen = "127.0.0.1:9477";
  nats.context = "/run/secrets/prod-poller.json"; nats.inboxPrefix = null; nats.domain = "hub"; writerKeys = [ "a2V5" ];
}; }; }`

// serverAlone has a config of its owner, with users of his.
const serverAlone = `{ services.fleetlog = { fleet = "prod"; nats = {
  enable = true; configFile = "/run/secrets/nats.conf"; listen = "0.0.0.0:4222"; openFirewall = true; http.listen = "127.0.0.1:9476";
}; }; }`

// releaseURL polls a directory behind a URL.
const releaseURL = `{ services.fleetlog = { fleet = "prod"; trustFile = "/etc/trust.json"; poller = {
  enable = true; releaseUrl = "https://git.example.com/x"; releaseTokenFile = "/run/secrets/token"; writerKeyFile = "/run/secrets/writer.key";
  tls = { caCert = "/etc/ca.pem"; clientCert = "/etc/cert.pem"; clientKey = "/etc/key.pem"; };
  nats = { url = "nats://127.0.0.1:4222"; credsFile = "/run/secrets/creds"; tls = { clientCert = "/etc/c.pem"; clientKey = "/etc/k.pem"; }; };
}; }; }`

// withUpstream is everything on one host among NixFleet's own modules.
const withUpstream = `{ lib, ... }: {
  options.nixfleet.trust.ciReleaseKey = lib.mkOption { type = lib.types.sets; };
  options.nixfleet.trust.cacheKeys = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
  options.nixfleet.persistence.directories = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
  config.nixfleet.trust.ciReleaseKey.current = { algorithm = "ed25519"; public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="; };
  config.nixfleet.persistence.directories = [ "/var/lib/nixfleet" ];
  config.services.fleetlog = {
    fleet = "prod"; nats.enable = true; reducer.enable = true; poller.enable = true; poller.controlPlaneUrl = "https://fleet.example.com";
  };
}`

// configurations are those that are accepted, by name.
func configurations() map[string]string {
	return map[string]string{
		"one host": oneHost, "remote": remote, "poller alone": pollerAlone,
		"server alone": serverAlone, "release URL": releaseURL, "with upstream": withUpstream,
	}
}

// TestModulesRefuse gives configurations that cannot work; the error names the
// option and, unless the type says it, the cure.
func TestModulesRefuse(t *testing.T) {
	for _, c := range []struct{ name, change, want string }{
		{"wrong type", `poller.pollInterval = "30s";`, "`services.fleetlog.poller.pollInterval' is not of type `positive integer, meaning >0'"},
		{"no path literal for a secret", `poller.writerKeyFile = /run/key;`, "`services.fleetlog.poller.writerKeyFile' is not of type `null or string'"},
		{"no such choice", `reducer.logLevel = "trace";`, "`services.fleetlog.reducer.logLevel' is not of type `one of"},
		{"bad fleet", `fleet = "Prod";`, "`services.fleetlog.fleet' is not of type `string matching"},
		{"unknown option", `poller.controlPlaneURL = "https://x";`, "`services.fleetlog.poller.controlPlaneURL' does not exist"},
		{"unknown service", `pollers.enable = true;`, "`services.fleetlog.pollers' does not exist"},
		{"set twice", `fleet = "lab";`, "`services.fleetlog.fleet' has conflicting definition values"},
		{"two sources", `poller.releaseDir = "/srv";`, "services.fleetlog.poller: set exactly one of controlPlaneUrl, releaseUrl and releaseDir"},
		{"token without URL", `poller.releaseTokenFile = "/run/t";`, "services.fleetlog.poller.releaseTokenFile: it is for releaseUrl only: set that"},
		{"no trust file", `poller.trustFile = null;`, "services.fleetlog.poller.trustFile: no trust file is named: set it, or services.fleetlog.trustFile"},
		{"no writer key", `poller.writerKeyFile = null;`, "services.fleetlog.poller.writerKeyFile: no writer key is named: set it"},
		{"half a client certificate", `poller.tls.clientCert = null;`, "services.fleetlog.poller.tls: clientCert and clientKey belong together: set all"},
		{"half a NATS certificate", `reducer.nats.tls.clientKey = "/k";`, "services.fleetlog.reducer.nats.tls: clientCert and clientKey belong together"},
		{"URL and context", `reducer.nats = { url = "nats://x"; context = "/c.json"; };`, "services.fleetlog.reducer.nats: url and context exclude each other"},
		{"nkey and creds", `reducer.nats.credsFile = "/c";`, "services.fleetlog.reducer.nats: nkeySeedFile and credsFile exclude each other"},
		{"no writer", `reducer.trustFirstUse = false;`, "services.fleetlog.reducer.writerKeys: no writer is accepted: name the log's writers"},
		{"half of HTTPS", `reducer.http = { listen = "0.0.0.0:1"; cert = "/c"; };`, "services.fleetlog.reducer.http: cert, key and clientCA belong together"},
		{"HTTPS nowhere", `reducer.http = { cert = "/c"; key = "/k"; clientCA = "/a"; };`, "services.fleetlog.reducer.http.listen: nothing is served: set it"},
		{"no port to open", `reducer.http.openFirewall = true;`, "services.fleetlog.reducer.http.openFirewall: there is no port to open: set services.fleetlog.reducer.http.listen"},
		{"state elsewhere", `reducer.stateDir = "/srv/set";`, "services.fleetlog.reducer.stateDir: /srv/set is not below /var/lib"},
		{"store elsewhere", `nats.stateDir = "/srv/nats";`, "services.fleetlog.nats.stateDir: /srv/nats is not below /var/lib"},
		{"keys elsewhere", `nats.keyDir = "/etc/keys";`, "services.fleetlog.nats.keyDir: /etc/keys is not below /var/lib"},
		{"secret in the store", `poller.nats.nkeySeedFile = "${builtins.storeDir}/x.nkey";`, "services.fleetlog.poller.nats.nkeySeedFile: "},
		{"TLS key in the store", `nats.credentials."tls.key" = "${builtins.storeDir}/x.key";`, `services.fleetlog.nats.credentials."tls.key": `},
		{"config in the store", `nats.configFile = "${builtins.storeDir}/x.conf";`, "is in the Nix store, which everybody can read: give the path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			changed := "{ imports = [ " + oneHost + " { services.fleetlog = { " + c.change + " }; } ]; }"
			refused(t, changed, c.want)
		})
	}
	t.Run("no fleet", func(t *testing.T) {
		t.Parallel()
		refused(t, strings.Replace(oneHost, `fleet = "prod";`, "", 1), "`services.fleetlog.fleet' was accessed but has no value")
	})
	t.Run("no broker", func(t *testing.T) {
		t.Parallel()
		refused(t, strings.Replace(oneHost, `nats.enable = true;`, "", 1),
			"services.fleetlog.poller.nats.url: no NATS server is named: set it or services.fleetlog.poller.nats.context, or set services.fleetlog.nats.enable")
	})
}

func refused(t *testing.T, configuration, want string) {
	t.Helper()
	out, errs, err := runNix(t, "nix-instantiate", "--eval", "--strict", "--json", "--expr", host(t, configuration, ""))
	if err == nil {
		t.Fatalf("accepted:\n%s", out)
	}
	if !strings.Contains(errs, want) {
		t.Errorf("got %s\nwant %s", errs, want)
	}
}

// TestModulesAlone imports each module without the others.
func TestModulesAlone(t *testing.T) {
	for name, c := range map[string]string{"poller": pollerAlone, "reducer": remote, "nats": serverAlone} {
		var whole, alone evaluated
		evaluate(t, host(t, c, ""), &whole)
		evaluate(t, host(t, c, "modules = [ "+absolute(t, root+"/nix/modules/"+name+".nix")+" ];"), &alone)
		if len(alone.Services) != 1 || len(whole.Services) != 1 {
			t.Errorf("%s: %d services alone, %d among all", name, len(alone.Services), len(whole.Services))
		}
	}
}

// TestAmongUpstreamModules demands that trust and persistence of NixFleet's own
// modules are used where they are.
func TestAmongUpstreamModules(t *testing.T) {
	var got evaluated
	evaluate(t, host(t, withUpstream, ""), &got)
	const trust = `{"ciReleaseKey":{"current":{"algorithm":"ed25519","public":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}},"schemaVersion":1}`
	if text := got.Etc["fleetlog/trust.json"].Text; text != trust {
		t.Errorf("trust.json is %s", text)
	}
	for _, name := range []string{"fleetlog-poller", "fleetlog-reducer"} {
		if start := got.Services[name].ServiceConfig["ExecStart"]; !strings.Contains(start.(string), " --trust-file=/etc/fleetlog/trust.json ") {
			t.Errorf("%s: %s", name, start)
		}
	}
	want := "/var/lib/fleetlog /var/lib/nixfleet /var/lib/private/fleetlog-nats /var/lib/private/fleetlog-reducer"
	if kept := sorted(got.Persistence); kept != want {
		t.Errorf("kept are %s, want %s", kept, want)
	}
}

// TestFirewall demands that nothing is opened unless asked for.
func TestFirewall(t *testing.T) {
	for name, want := range map[string][]int{"one host": {}, "poller alone": {}, "remote": {9478}, "server alone": {4222}} {
		var got evaluated
		evaluate(t, host(t, configurations()[name], ""), &got)
		if len(got.Firewall) != len(want) || len(want) > 0 && got.Firewall[0] != want[0] {
			t.Errorf("%s: open are %v, want %v", name, got.Firewall, want)
		}
	}
}
