// Package deploy_test holds what the program is deployed with to what the
// program takes.
package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/test/program"
)

const root = "../.."

var binary string // the program, as TestMain built it

func TestMain(m *testing.M) { os.Exit(program.Run(m, &binary)) }

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// says runs a command and gives its output.
func says(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestEverySettingThatIsGivenIsOne(t *testing.T) {
	t.Parallel()
	config, help := says(t, binary, "config"), says(t, binary, "serve", "--help")
	for _, name := range []string{"deploy/Dockerfile", "deploy/fattorino.service", "deploy/debian/fattorino.env", "deploy/kubernetes/fattorino.yaml", "docs/deploy.md"} {
		text := read(t, name)
		for _, variable := range regexp.MustCompile(`\bFATTORINO_[A-Z_]+`).FindAllString(text, -1) {
			key := strings.ToLower(strings.TrimPrefix(variable, "FATTORINO_"))
			if !regexp.MustCompile(`(?m)^(# )?` + key + `:`).MatchString(config) {
				t.Errorf("%s: there is no setting for %s", name, variable)
			}
		}
		for _, line := range regexp.MustCompile(`fattorino serve .*`).FindAllString(text, -1) {
			for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(line, -1) {
				if !strings.Contains(help, flag) {
					t.Errorf("%s: serve has no flag %s", name, flag)
				}
			}
		}
	}
}

func TestTheImageHasTheProgramAndRunsItAsNobody(t *testing.T) {
	t.Parallel()
	file := read(t, "deploy/Dockerfile")
	_, last, _ := strings.Cut(file, "FROM scratch\n")
	for _, line := range []string{
		`COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/`,
		`COPY --from=build /src/dist/fattorino /usr/bin/fattorino`, // where make build puts it
		`ENTRYPOINT ["/usr/bin/fattorino"]`, `CMD ["serve"]`,
	} {
		if !strings.Contains(last, line+"\n") {
			t.Errorf("the image lacks: %s", line)
		}
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`).MatchString(last) {
		t.Error("it does not run as a numbered user that is not root")
	}
	if !strings.Contains(read(t, "Makefile"), "-o dist/fattorino ./cmd/fattorino") {
		t.Error("make build puts the program elsewhere")
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	if !strings.Contains(file, "FROM golang:"+version+" AS build\n") {
		t.Errorf("it is not built with Go %s, which go.mod asks for", version)
	}
}

func TestTheUnitIsOneThatSystemdTakes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is missing")
	}
	unit := strings.ReplaceAll(read(t, "deploy/fattorino.service"), "/usr/bin/fattorino", binary)
	file := filepath.Join(t.TempDir(), "fattorino.service")
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("fattorino.service")) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// A resource is what the test looks at of a Kubernetes resource.
type resource struct {
	Kind string
	Spec struct {
		Selector any
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				Containers                    []struct {
					Args                          []string
					Ports                         []struct{ Name string }
					LivenessProbe, ReadinessProbe probe
				}
			}
		}
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// UnmarshalYAML takes the keys as Kubernetes writes them.
func (r *resource) UnmarshalYAML(n *yaml.Node) error {
	lower(n)
	type plain resource
	return n.Decode((*plain)(r))
}

// lower writes keys as package yaml looks for them where no tag says otherwise.
func lower(n *yaml.Node) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && slices.Contains([]string{"livenessProbe", "readinessProbe"}, child.Value) {
			child.Value = strings.ToLower(child.Value)
		}
		lower(child)
	}
}

func TestThePodsAreAskedWhereTheProgramAnswers(t *testing.T) {
	t.Parallel()
	kinds := map[string]resource{}
	for d := yaml.NewDecoder(strings.NewReader(read(t, "deploy/kubernetes/fattorino.yaml"))); ; {
		var r resource
		err := d.Decode(&r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds[r.Kind] = r
	}
	pod := kinds["Deployment"].Spec.Template
	if len(pod.Spec.Containers) != 1 || kinds["Service"].Kind == "" {
		t.Fatalf("found %v, want a Deployment of one container and a Service", kinds)
	}
	c := pod.Spec.Containers[0]
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Errorf("probes: %+v", c)
	}
	if c.LivenessProbe.HTTPGet.Port != c.Ports[0].Name || c.ReadinessProbe.HTTPGet.Port != c.Ports[0].Name || c.Args[0] != "serve" {
		t.Errorf("the probes ask another port, or it does not serve: %+v", c)
	}
	if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds < 45 {
		t.Errorf("it is killed after %d seconds, before it may have stopped", seconds)
	}
	if fmt.Sprint(kinds["Service"].Spec.Selector) != fmt.Sprint(pod.Metadata.Labels) {
		t.Error("the Service does not find the pods")
	}
}

// The package is made by "make deb", with what the Makefile installs for it.
func TestThePackageHasAProgramThatRuns(t *testing.T) {
	t.Parallel()
	made, err := filepath.Glob(filepath.Join(root, ".tools/nfpm-*"))
	if err != nil || len(made) == 0 {
		t.Skip("nfpm is missing: make deb")
	}
	nfpm, err := filepath.Abs(made[len(made)-1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is missing")
	}
	dir := t.TempDir()
	config := strings.ReplaceAll(read(t, "deploy/nfpm.yaml"), "dist/fattorino", binary)
	file := filepath.Join(dir, "nfpm.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	pack := exec.CommandContext(t.Context(), nfpm, "package", "--packager", "deb", "--config", file, "--target", filepath.Join(dir, "fattorino.deb"))
	pack.Dir, pack.Env = root, append(os.Environ(), "VERSION=1.2.3", "ARCH="+strings.TrimSpace(says(t, "go", "env", "GOARCH")))
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("nfpm: %v\n%s", err, out)
	}
	says(t, "dpkg-deb", "--extract", filepath.Join(dir, "fattorino.deb"), filepath.Join(dir, "x"))
	if got := says(t, filepath.Join(dir, "x/usr/bin/fattorino"), "version"); !strings.HasPrefix(got, "fattorino ") {
		t.Errorf("the program says %q", got)
	}
	for name, mode := range map[string]os.FileMode{
		"usr/lib/systemd/system/fattorino.service": 0o644, "usr/lib/sysusers.d/fattorino.conf": 0o644, "etc/fattorino/fattorino.env": 0o600,
	} {
		if info, err := os.Stat(filepath.Join(dir, "x", name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, want it there with mode %v", name, err, mode)
		}
	}
}
