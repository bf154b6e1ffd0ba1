package nix

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// evaluated is what a configuration comes to.
type evaluated struct {
	Services    map[string]service `json:"services"`
	Etc         map[string]text    `json:"etc"`
	Firewall    []int              `json:"firewall"`
	Persistence []string           `json:"persistence"`
}

type text struct {
	Text string `json:"text"`
}

type service struct {
	Description   string         `json:"description"`
	After         []string       `json:"after"`
	Wants         []string       `json:"wants"`
	Requires      []string       `json:"requires"`
	WantedBy      []string       `json:"wantedBy"`
	UnitConfig    map[string]any `json:"unitConfig"`
	ServiceConfig map[string]any `json:"serviceConfig"`
}

func sorted(names []string) string { return strings.Join(slices.Sorted(slices.Values(names)), " ") }

// ini is the unit as systemd reads it.
func (s service) ini() string {
	var t strings.Builder
	fmt.Fprintf(&t, "[Unit]\nDescription=%s\n", s.Description)
	for name, units := range map[string][]string{"After": s.After, "Wants": s.Wants, "Requires": s.Requires} {
		if len(units) > 0 {
			fmt.Fprintf(&t, "%s=%s\n", name, strings.Join(units, " "))
		}
	}
	writeSettings(&t, s.UnitConfig)
	fmt.Fprint(&t, "[Service]\n")
	writeSettings(&t, s.ServiceConfig)
	if len(s.WantedBy) > 0 {
		fmt.Fprintf(&t, "[Install]\nWantedBy=%s\n", strings.Join(s.WantedBy, " "))
	}
	return t.String()
}

func writeSettings(t *strings.Builder, settings map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		values, isList := settings[name].([]any)
		if !isList {
			values = []any{settings[name]}
		}
		for _, value := range values {
			fmt.Fprintf(t, "%s=%v\n", name, value)
		}
	}
}

// checkUnits renders the units of every accepted configuration. systemd reads them
// without a complaint and finds them hardened, every flag in them is one of the
// program's, and every credential that a flag names is handed over.
func checkUnits(t *testing.T, programs string) {
	help := map[string]string{}
	for name, c := range configurations() {
		var got evaluated
		evaluate(t, host(t, c, fmt.Sprintf("package = %q;", programs)), &got)
		dir := t.TempDir()
		var units []string
		for unit, s := range got.Services {
			units = append(units, filepath.Join(dir, unit+".service"))
			if err := os.WriteFile(units[len(units)-1], []byte(s.ini()), 0o600); err != nil {
				t.Fatal(err)
			}
			checkFlags(t, name+": "+unit, s, help)
		}
		if len(units) == 0 {
			t.Fatalf("%s: no unit", name)
		}
		analyze(t, name, dir, append([]string{"verify", "--man=no"}, units...)...)
		analyze(t, name, dir, append([]string{"security", "--offline=true", "--threshold=15", "--no-pager"}, units...)...)
	}
}

// analyze runs systemd-analyze, which must be silent about our units.
func analyze(t *testing.T, name, dir string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is not installed: apt-get install --no-install-recommends systemd")
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":/lib/systemd/system")
	out, err := cmd.CombinedOutput()
	if err != nil || args[0] == "verify" && strings.Contains(string(out), "fleetlog") {
		t.Errorf("%s: systemd-analyze %s: %v\n%s", name, args[0], err, out)
	}
	if args[0] == "security" {
		for _, line := range regexp.MustCompile(`(?m)^.*Overall exposure level.*$`).FindAllString(string(out), -1) {
			t.Logf("%s: %s", name, line)
		}
	}
}

// checkFlags compares the flags with the program's help, and the credentials that
// they name with those that are loaded.
func checkFlags(t *testing.T, name string, s service, help map[string]string) {
	t.Helper()
	words, err := split(s.ServiceConfig["ExecStart"].(string))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	command := words[0] + " " + words[1]
	if help[command] == "" {
		out, err := exec.CommandContext(t.Context(), words[0], words[1], "--help").Output()
		if err != nil {
			t.Fatalf("%s --help: %v", command, err)
		}
		help[command] = string(out)
	}
	var named []string
	for _, word := range words[2:] {
		flag, value, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "--") && !regexp.MustCompile(`(?m)^ +(-\w, )?`+flag+`\b`).MatchString(help[command]) {
			t.Errorf("%s: %s has no flag %s", name, command, flag)
		}
		if credential, ok := strings.CutPrefix(value, "%d/"); ok {
			named = append(named, credential)
		}
	}
	var loaded []string
	list, _ := s.ServiceConfig["LoadCredential"].([]any)
	for _, each := range list {
		credential, _, _ := strings.Cut(each.(string), ":")
		loaded = append(loaded, credential)
	}
	if sorted(named) != sorted(loaded) {
		t.Errorf("%s: flags name credentials %q, loaded are %q", name, named, loaded)
	}
}

// split splits a command line as systemd does, as far as the modules write it.
func split(line string) ([]string, error) {
	var words []string
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimSpace(rest) {
		word, after, _ := strings.Cut(rest, " ")
		if quoted := regexp.MustCompile(`^"((?:[^"\\]|\\.)*)"`).FindStringSubmatch(rest); quoted != nil {
			word, after = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1]), rest[len(quoted[0]):]
		} else if strings.ContainsAny(word, `"'\`) {
			return nil, errors.New("a quote inside a word: " + word)
		}
		words, rest = append(words, word), after
	}
	return words, nil
}

// TestEscaping demands that systemd gets an argument as it was written.
func TestEscaping(t *testing.T) {
	var got evaluated
	evaluate(t, host(t, strings.Replace(oneHost, "reducer.enable", `poller.extraFlags = [ "--a=50% of $HOME \"x\\" "b;c" ]; reducer.enable`, 1), ""), &got)
	const want = ` "--a=50%% of $$HOME \"x\\" "b;c"`
	if start := got.Services["fleetlog-poller"].ServiceConfig["ExecStart"].(string); !strings.HasSuffix(start, want) {
		t.Errorf("ExecStart ends with %s, want %s", start[len(start)-40:], want)
	}
}

// TestServerCredentials demands that further files reach the server's config.
func TestServerCredentials(t *testing.T) {
	var got evaluated
	evaluate(t, host(t, strings.Replace(serverAlone, "listen =", `credentials."tls.key" = "/run/secrets/tls.key"; listen =`, 1), ""), &got)
	want := []any{"embedded-nats.conf:/run/secrets/nats.conf", "tls.key:/run/secrets/tls.key"}
	if diff := cmp.Diff(want, got.Services["fleetlog-nats"].ServiceConfig["LoadCredential"]); diff != "" {
		t.Errorf("LoadCredential (-want +got):\n%s", diff)
	}
}

// TestUnitsAreThoseOfOtherSystems compares the settings of the services with those
// of the units in deploy/systemd, but for what says where files are.
func TestUnitsAreThoseOfOtherSystems(t *testing.T) {
	var got evaluated
	evaluate(t, host(t, oneHost, ""), &got)
	for _, name := range []string{"fleetlog-nats", "fleetlog-poller", "fleetlog-reducer"} {
		ours := settings(got.Services[name].ini())
		theirs := settings(read(t, filepath.Join(root, "deploy/systemd", name+".service")))
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s (-deploy/systemd +module):\n%s", name, diff)
		}
	}
}

// settings are those of a unit's service, with one spelling for each value.
func settings(unit string) map[string]string {
	_, section, _ := strings.Cut(unit, "\n[Service]\n")
	section, _, _ = strings.Cut(section, "\n[")
	all := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^([A-Z]\w+)=(.*)$`).FindAllStringSubmatch(section, -1) {
		switch line[1] {
		case "ExecStart", "Environment", "EnvironmentFile", "LoadCredential", "SetCredential":
		default:
			value := regexp.MustCompile(`^(\d+)s$`).ReplaceAllString(line[2], "$1")
			all[line[1]] = strings.TrimSpace(all[line[1]] + " " + strings.NewReplacer("yes", "true").Replace(value))
		}
	}
	return all
}
