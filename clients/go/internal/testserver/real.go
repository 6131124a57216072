// Package testserver has the servers that the tests talk to: the real binary, and one that says what a test wants.
package testserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Real is stepcast-server on free ports.
type Real struct {
	Address string
	command *exec.Cmd
	log     string
	ended   chan struct{}
}

func binary(name string) string {
	folder := os.Getenv("STEPCAST_BINARY_DIR")
	if folder == "" {
		folder = "../../build/dev"
	}
	return filepath.Join(folder, name)
}

// Start starts a server with one of the bundled models, and waits until it is ready. config is more of its YAML; trust are
// flags that the command-line client needs to reach it.
func Start(t testing.TB, model, config string, trust ...string) *Real {
	t.Helper()
	folder := t.TempDir()
	models, err := filepath.Abs("../../models")
	if err != nil {
		t.Fatal(err)
	}
	path, ports := filepath.Join(folder, "config.yaml"), filepath.Join(folder, "ports.json")
	text := fmt.Sprintf("models:\n  - id: %s\n    path: %s\n%s", model, filepath.Join(models, model), config)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := &Real{log: filepath.Join(folder, "log")}
	log, err := os.Create(server.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	server.command = exec.Command(binary("stepcast-server"), "--config="+path, "--port=0", "--admin_port=0",
		"--metrics_port=0", "--profile_budget=0", "--port_file="+ports)
	server.command.Env = append(os.Environ(), "GOMP_SPINCOUNT=200")
	server.command.Stdout, server.command.Stderr = log, log
	if err := server.command.Start(); err != nil {
		t.Fatal(err)
	}
	server.ended = make(chan struct{})
	go func() {
		_ = server.command.Wait()
		close(server.ended)
	}()
	t.Cleanup(func() {
		server.Terminate()
		<-server.ended
	})
	var bound struct{ Port int }
	// The file appears in one piece once the server listens.
	for {
		if written, err := os.ReadFile(ports); err == nil && json.Unmarshal(written, &bound) == nil {
			break
		}
		select {
		case <-server.ended:
			told, _ := os.ReadFile(server.log)
			t.Fatalf("the server did not start:\n%s", told)
		default:
			runtime.Gosched()
		}
	}
	server.Address = fmt.Sprintf("127.0.0.1:%d", bound.Port)
	ask := append(trust, "--host", server.Address, "health", "--wait", "120", "--while-pid",
		fmt.Sprint(server.command.Process.Pid))
	health := exec.Command(binary("stepcast"), ask...)
	if told, err := health.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, told)
	}
	return server
}

// Terminate tells the server to stop.
func (s *Real) Terminate() { _ = s.command.Process.Signal(syscall.SIGTERM) }

// Kill ends the server as a crash does.
func (s *Real) Kill() { _ = s.command.Process.Kill() }

// Ended tells whether the server has.
func (s *Real) Ended() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Calls returns how many calls the server has logged.
func (s *Real) Calls(t testing.TB) int {
	t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(log, []byte(`"msg":"call"`))
}

// Call is what the server's log tells of a call.
type Call struct {
	RequestID string `json:"request_id"`
	Code      string
	Reason    string
}

// Logged waits for the log's line of one call, which the server writes when it has ended there.
func (s *Real) Logged(t testing.TB, requestID string) Call {
	t.Helper()
	for {
		log, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		whole := log[:bytes.LastIndexByte(log, '\n')+1]
		for scanner := bufio.NewScanner(bytes.NewReader(whole)); scanner.Scan(); {
			var call Call
			line := scanner.Text()
			if strings.Contains(line, requestID) && json.Unmarshal([]byte(line), &call) == nil && call.RequestID == requestID {
				return call
			}
		}
		runtime.Gosched()
	}
}
