// Command foreignacme gets a device identity with nothing of Bartizan's: golang.org/x/crypto/acme speaks the protocol,
// crypto/x509 plays Apple's attestation servers, fxamacker's CBOR writes the attestation object.
//
//	foreignacme root DIR          makes an attestation root, DIR/root.pem
//	foreignacme enrol DIR LINK    profile, ACME with device-attest-01, DIR/key.pem, DIR/account.pem and DIR/certificate.pem
//	foreignacme rollover DIR URL  changes the account's key: DIR/account.pem
//	foreignacme revoke DIR URL account|certificate
//	                              revokes DIR/certificate.pem by the account's key or by its own
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/crypto/acme"
	"howett.net/plist"
)

const (
	serial = "FOREIGN00002"
	udid   = "00008120-00FA57B0C4D90102"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "root":
		return makeRoot(args[1])
	case len(args) == 3 && args[0] == "enrol":
		return enrol(args[1], args[2])
	case len(args) == 3 && args[0] == "rollover":
		return rollover(args[1], args[2])
	case len(args) == 4 && args[0] == "revoke":
		return revoke(args[1], args[2], args[3])
	}
	return errors.New("usage: foreignacme root DIR | enrol DIR LINK | rollover DIR URL | revoke DIR URL account|certificate")
}

func keep(path, label string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), 0o600)
}

func keepKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return keep(path, "EC PRIVATE KEY", der)
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"Foreign"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func makeRoot(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	template := authority("Foreign attestation root")
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if err := keep(filepath.Join(dir, "root.pem"), "CERTIFICATE", der); err != nil {
		return err
	}
	return keepKey(filepath.Join(dir, "root.key"), key)
}

func load(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	if text, err = os.ReadFile(filepath.Join(dir, "root.key")); err != nil {
		return nil, nil, err
	}
	block, _ = pem.Decode(text)
	key, err := x509.ParseECPrivateKey(block.Bytes)
	return root, key, err
}

// attest plays the vendor's servers: an intermediate and a leaf for the device's key, with Apple's extensions.
func attest(dir, token string, device crypto.PublicKey) ([]byte, error) {
	root, rootKey, err := load(dir)
	if err != nil {
		return nil, err
	}
	middleKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := authority("Foreign attestation intermediate")
	der, err := x509.CreateCertificate(rand.Reader, template, root, middleKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	middle, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	fresh := sha256.Sum256([]byte(token))
	apple := func(a, b int, value []byte) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, a, b}, Value: value}
	}
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "foreign device"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{
			apple(9, 1, []byte(serial)), apple(9, 2, []byte(udid)), apple(10, 1, []byte("26.1")), apple(10, 2, []byte("26.1")),
			apple(11, 1, fresh[:]),
		},
	}, middle, device, middleKey)
	if err != nil {
		return nil, err
	}
	object, err := cbor.Marshal(map[string]any{"fmt": "apple", "attStmt": map[string]any{"x5c": [][]byte{leaf, middle.Raw}}})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"attObj": base64.RawURLEncoding.EncodeToString(object)})
}

type payload struct {
	PayloadType, DirectoryURL, ClientIdentifier, KeyType string
	KeySize                                              int
	Attest, HardwareBound                                bool
}

func wanted(link string) (*payload, error) {
	answer, err := http.Get(link)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var profile struct{ PayloadContent []payload }
	if _, err := plist.Unmarshal(body, &profile); err != nil {
		return nil, fmt.Errorf("the link answered %d: %w", answer.StatusCode, err)
	}
	first := profile.PayloadContent[0]
	if first.PayloadType != "com.apple.security.acme" || !first.Attest || !first.HardwareBound || first.KeySize != 384 {
		return nil, errors.New("the profile does not ask for an attested identity by ACME")
	}
	return &first, nil
}

func enrol(dir, link string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	profile, err := wanted(link)
	if err != nil {
		return err
	}
	account, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	client := &acme.Client{Key: account, DirectoryURL: profile.DirectoryURL}
	if _, err := client.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	order, err := client.AuthorizeOrder(ctx, []acme.AuthzID{{Type: "permanent-identifier", Value: profile.ClientIdentifier}})
	if err != nil {
		return fmt.Errorf("order: %w", err)
	}
	if len(order.AuthzURLs) != 1 {
		return fmt.Errorf("%d authorizations", len(order.AuthzURLs))
	}
	authorization, err := client.GetAuthorization(ctx, order.AuthzURLs[0])
	if err != nil {
		return fmt.Errorf("authorization: %w", err)
	}
	if len(authorization.Challenges) != 1 || authorization.Challenges[0].Type != "device-attest-01" {
		return errors.New("not exactly one challenge, device-attest-01")
	}
	device, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	challenge := authorization.Challenges[0]
	if challenge.Payload, err = attest(dir, challenge.Token, device.Public()); err != nil {
		return err
	}
	if _, err := client.Accept(ctx, challenge); err != nil {
		return fmt.Errorf("challenge: %w", err)
	}
	if _, err := client.WaitAuthorization(ctx, authorization.URI); err != nil {
		return fmt.Errorf("authorization: %w", err)
	}
	if order, err = client.WaitOrder(ctx, order.URI); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "foreign"}}, device)
	if err != nil {
		return err
	}
	chain, _, err := client.CreateOrderCert(ctx, order.FinalizeURL, request, true)
	if err != nil {
		return fmt.Errorf("finalize: %w", err)
	}
	if len(chain) != 1 {
		return fmt.Errorf("%d certificates", len(chain))
	}
	if err := keepKey(filepath.Join(dir, "key.pem"), device); err != nil {
		return err
	}
	if err := keepKey(filepath.Join(dir, "account.pem"), account); err != nil {
		return err
	}
	return keep(filepath.Join(dir, "certificate.pem"), "CERTIFICATE", chain[0])
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	return x509.ParseECPrivateKey(block.Bytes)
}

// rollover changes the account's key; the old one must be refused and the new one be the same account.
func rollover(dir, directory string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	old, err := readKey(filepath.Join(dir, "account.pem"))
	if err != nil {
		return err
	}
	client := &acme.Client{Key: old, DirectoryURL: directory}
	before, err := client.GetReg(ctx, "")
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	next, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	if err := client.AccountKeyRollover(ctx, next); err != nil {
		return fmt.Errorf("rollover: %w", err)
	}
	after, err := (&acme.Client{Key: next, DirectoryURL: directory}).GetReg(ctx, "")
	if err != nil || after.URI != before.URI {
		return fmt.Errorf("with the new key: %v, %w", after, err)
	}
	if _, err := (&acme.Client{Key: old, DirectoryURL: directory}).GetReg(ctx, ""); !errors.Is(err, acme.ErrNoAccount) {
		return fmt.Errorf("the old key is still an account's: %w", err)
	}
	return keepKey(filepath.Join(dir, "account.pem"), next)
}

func revoke(dir, directory, by string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := os.ReadFile(filepath.Join(dir, "certificate.pem"))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	account, err := readKey(filepath.Join(dir, "account.pem"))
	if err != nil {
		return err
	}
	client := &acme.Client{Key: account, DirectoryURL: directory}
	if by == "account" {
		return client.RevokeCert(ctx, nil, block.Bytes, acme.CRLReasonSuperseded)
	}
	own, err := readKey(filepath.Join(dir, "key.pem"))
	if err != nil {
		return err
	}
	return client.RevokeCert(ctx, own, block.Bytes, acme.CRLReasonKeyCompromise)
}
