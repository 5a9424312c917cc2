// Command foreignwitness is the other side of our witness protocol: transparency-dev's witness and client, torchwood's
// policies and proofs, formats' cosignature verifiers. None of it shares code with us.
//
//	foreignwitness serve NAME LOG-KEY            a witness with fresh Ed25519 and ML-DSA-44 keys; prints {"url","keys"}
//	foreignwitness ask URL OLD FILE HASH...      submits the checkpoint FILE with a proof (base64) and prints the answer
//	foreignwitness open FILE LOG-KEY KEY...      prints the names whose (co)signatures of the checkpoint FILE verify
//	foreignwitness proof POLICY PROOF ENTRY      checks a tlog-proof by a tlog-policy
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"filippo.io/torchwood"
	fnote "github.com/transparency-dev/formats/note"
	client "github.com/transparency-dev/witness/client/http"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "serve":
		return serve(args[1], args[2])
	case len(args) >= 4 && args[0] == "ask":
		return ask(args[1], args[2], args[3], args[4:])
	case len(args) >= 3 && args[0] == "open":
		return open(args[1], args[2], args[3:])
	case len(args) == 4 && args[0] == "proof":
		return proof(args[1], args[2], args[3])
	}
	return errors.New("usage: foreignwitness serve NAME LOG-KEY | ask URL OLD FILE HASH... | open FILE LOG-KEY KEY... | proof POLICY PROOF ENTRY")
}

func serve(name, logKey string) error {
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	classic, err := fnote.NewSignerForCosignatureV1(secret)
	if err != nil {
		return err
	}
	classicKey, err := fnote.VKeyToCosignatureV1(public)
	if err != nil {
		return err
	}
	secret, lattice, err := fnote.GenerateMLDSAKey(name)
	if err != nil {
		return err
	}
	mldsa, err := fnote.NewMLDSASigner(secret)
	if err != nil {
		return err
	}
	w, err := witness.New(context.Background(), witness.Opts{
		Persistence: inmemory.New(),
		Signers:     []note.Signer{classic, mldsa},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			return log, origin == log.Name(), nil
		},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	line, _ := json.Marshal(map[string]any{
		"url": "http://" + listener.Addr().String(), "keys": []string{classicKey, lattice},
	})
	fmt.Println(string(line))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", witness.NewHTTPHandler(w).AddCheckpoint)
	go func() { // it ends with whoever started it
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	return http.Serve(listener, mux)
}

func ask(address, old, file string, hashes []string) error {
	base, err := url.Parse(address)
	if err != nil {
		return err
	}
	size, err := strconv.ParseUint(old, 10, 64)
	if err != nil {
		return err
	}
	checkpoint, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var proof [][]byte
	for _, hash := range hashes {
		bytes, err := base64.StdEncoding.DecodeString(hash)
		if err != nil {
			return err
		}
		proof = append(proof, bytes)
	}
	w := client.NewWitness(base, &http.Client{Timeout: 10 * time.Second})
	lines, stale, err := w.Update(context.Background(), size, checkpoint, proof)
	if errors.Is(err, witness.ErrCheckpointStale) {
		return fmt.Errorf("%w, it has %d", err, stale)
	}
	if err != nil {
		return err
	}
	fmt.Print(string(lines))
	return nil
}

func open(file, logKey string, keys []string) error {
	bytes, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	verifiers := []note.Verifier{log}
	for _, key := range keys {
		v, err := fnote.NewVerifierForCosignatureV1(key)
		if err != nil {
			if v, err = fnote.NewMLDSAVerifier(key); err != nil {
				return err
			}
		}
		verifiers = append(verifiers, v)
	}
	opened, err := note.Open(bytes, note.VerifierList(verifiers...))
	if err != nil {
		return err
	}
	var names []string
	for _, sig := range opened.Sigs {
		names = append(names, sig.Name)
	}
	fmt.Println(strings.Join(names, " "))
	return nil
}

func proof(policyFile, proofFile, entryFile string) error {
	text, err := os.ReadFile(policyFile)
	if err != nil {
		return err
	}
	policy, err := torchwood.ParsePolicy(text)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	bytes, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		return err
	}
	if err := torchwood.VerifyProof(policy, tlog.RecordHash(entry), bytes); err != nil {
		return err
	}
	fmt.Println("ok")
	return nil
}
