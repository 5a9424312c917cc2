// Command foreignphone plays an iPhone with nothing of Bartizan's: micromdm's SCEP client, smallstep's PKCS #7 and
// howett's property lists; its declarative management is kmfddm's. It knows Apple's protocol alone.
//
//	foreignphone enrol DIR LINK [STYLE]   profile, SCEP, Authenticate, TokenUpdate
//	foreignphone introduce DIR            Authenticate, TokenUpdate with an identity that came in another way
//	foreignphone poll DIR                 Idle, then every command that waits; prints one JSON line per command
//	foreignphone leave DIR                CheckOut
//	foreignphone sync DIR                 declarative management: tokens, items, what changed; prints one JSON line
//	foreignphone show DIR IDENTIFIER      the declaration that it holds
//	foreignphone report DIR [held [ID=CODE]...]   sends the status report on standard input
//	foreignphone judge                    what kmfddm reads out of the status reports on standard input, one a line
//
// STYLE is a list such as sha1,ec,attached,post,n=7: digest, kind of identity, form of signature, method, which phone.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
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
	"strings"
	"time"

	"github.com/go-kit/kit/log"
	scepclient "github.com/micromdm/scep/v2/client"
	"github.com/micromdm/scep/v2/cryptoutil/x509util"
	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"
	"howett.net/plist"
)

type state struct {
	ServerURL, CheckInURL, Topic, UDID string
	SHA1, EC, Attached, POST           bool
	Profiles                           map[string]string
	Apps                               map[string]bool
	DeclarationsToken                  string
	Held                               map[string]held
}

func (s *state) serial() string { return "FOREIGN0000" + s.UDID[len(s.UDID)-1:] }

func (s *state) style(list string) error {
	s.UDID = "5A2B8C10-77D4-4E0E-9F11-2A61B0C4D901"
	for _, word := range strings.Split(list, ",") {
		switch {
		case word == "" || word == "sha256" || word == "rsa" || word == "detached" || word == "put":
		case word == "sha1":
			s.SHA1 = true
		case word == "ec":
			s.EC = true
		case word == "attached":
			s.Attached = true
		case word == "post":
			s.POST = true
		case strings.HasPrefix(word, "n="):
			s.UDID = s.UDID[:len(s.UDID)-1] + word[2:]
		default:
			return fmt.Errorf("unknown style %q", word)
		}
	}
	return nil
}

type scepPayload struct {
	URL           string
	Challenge     string
	Keysize       int
	Subject       [][][]string
	CAFingerprint []byte
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "enrol":
		return enrol(args[1], args[2], "")
	case len(args) == 4 && args[0] == "enrol":
		return enrol(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "introduce":
		return introduce(args[1])
	case len(args) == 2 && args[0] == "leave":
		return leave(args[1])
	case len(args) == 2 && args[0] == "poll":
		return poll(args[1])
	case len(args) == 2 && args[0] == "sync":
		return sync(args[1])
	case len(args) == 3 && args[0] == "show":
		return show(args[1], args[2])
	case len(args) >= 2 && args[0] == "report":
		return report(args[1], args[2:])
	case len(args) == 1 && args[0] == "judge":
		return judge()
	}
	return errors.New("usage: foreignphone enrol DIR LINK [STYLE] | introduce DIR | poll DIR | leave DIR | sync DIR | show DIR ID | report DIR | judge")
}

func get(url string) ([]byte, string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != 200 {
		err = fmt.Errorf("GET answered %d", answer.StatusCode)
	}
	return body, answer.Header.Get("Content-Type"), err
}

func enrol(dir, link, style string) error {
	body, kind, err := get(link)
	if err != nil {
		return err
	}
	if kind != "application/x-apple-aspen-config" {
		return fmt.Errorf("the profile has content type %q", kind)
	}
	var profile struct {
		PayloadType    string
		PayloadContent []map[string]any
	}
	if _, err := plist.Unmarshal(body, &profile); err != nil {
		return err
	}
	var wanted scepPayload
	var s state
	if err := s.style(style); err != nil {
		return err
	}
	for _, payload := range profile.PayloadContent {
		switch payload["PayloadType"] {
		case "com.apple.security.scep":
			again, err := plist.Marshal(payload["PayloadContent"], plist.XMLFormat)
			if err != nil {
				return err
			}
			if _, err := plist.Unmarshal(again, &wanted); err != nil {
				return err
			}
		case "com.apple.mdm":
			s.ServerURL, _ = payload["ServerURL"].(string)
			s.CheckInURL, _ = payload["CheckInURL"].(string)
			s.Topic, _ = payload["Topic"].(string)
			if s.CheckInURL == "" {
				s.CheckInURL = s.ServerURL
			}
		}
	}
	if wanted.URL == "" || s.ServerURL == "" || s.Topic == "" {
		return errors.New("the profile lacks the SCEP or the MDM payload")
	}
	key, certificate, err := certify(wanted, s)
	if err != nil {
		return err
	}
	s.Profiles, s.Apps = map[string]string{}, map[string]bool{}
	if err := keep(dir, s, key, certificate); err != nil {
		return err
	}
	return introduce(dir)
}

// introduce says who the phone is, with whatever identity it has.
func introduce(dir string) error {
	phone, err := load(dir)
	if err != nil {
		return err
	}
	s := phone.state
	for _, message := range []map[string]any{
		{
			"MessageType": "Authenticate", "UDID": s.UDID, "Topic": s.Topic, "DeviceName": "Foreign phone",
			"Model": "MD123", "ModelName": "iPhone", "ProductName": "iPhone15,4", "OSVersion": "18.3",
			"BuildVersion": "22D5", "SerialNumber": s.serial(),
		},
		{
			"MessageType": "TokenUpdate", "UDID": s.UDID, "Topic": s.Topic, "PushMagic": "foreign-magic",
			"Token": bytes.Repeat([]byte{0x5a}, 32), "AwaitingConfiguration": false,
		},
	} {
		if _, err := phone.send(s.CheckInURL, "application/x-apple-aspen-mdm-checkin", message); err != nil {
			return fmt.Errorf("%v: %w", message["MessageType"], err)
		}
	}
	return nil
}

func certify(wanted scepPayload, s state) (crypto.Signer, *x509.Certificate, error) {
	bits := wanted.Keysize
	if bits == 0 {
		bits = 2048
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, nil, err
	}
	name := pkix.Name{}
	for _, relative := range wanted.Subject {
		for _, pair := range relative {
			switch pair[0] {
			case "CN":
				name.CommonName = pair[1]
			case "O":
				name.Organization = []string{pair[1]}
			case "OU":
				name.OrganizationalUnit = []string{pair[1]}
			}
		}
	}
	if name.CommonName == "" {
		name.CommonName = "foreign phone"
	}
	// The identity may be a P-256 key; what SCEP encrypts its answer to must be RSA all the same.
	var identity crypto.Signer = key
	algorithm := x509.SHA256WithRSA
	if s.EC {
		algorithm = x509.ECDSAWithSHA256
		if identity, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, nil, err
		}
	}
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{Subject: name, SignatureAlgorithm: algorithm},
		ChallengePassword:  wanted.Challenge,
	}, identity)
	if err != nil {
		return nil, nil, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: name, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	self, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	issued, err := request2certificate(wanted, request, self, key)
	if err != nil {
		return nil, nil, err
	}
	if mine, ok := identity.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !mine.Equal(issued.PublicKey) {
		return nil, nil, errors.New("the certificate is for another key")
	}
	return identity, issued, nil
}

func request2certificate(wanted scepPayload, request *x509.CertificateRequest, self *x509.Certificate, key *rsa.PrivateKey) (*x509.Certificate, error) {
	ctx := context.Background()
	logger := log.NewNopLogger()
	client, err := scepclient.New(wanted.URL, logger)
	if err != nil {
		return nil, err
	}
	bytes_, count, err := client.GetCACert(ctx, "")
	if err != nil {
		return nil, err
	}
	var authorities []*x509.Certificate
	if count > 1 {
		authorities, err = scep.CACerts(bytes_)
	} else {
		authorities, err = x509.ParseCertificates(bytes_)
	}
	if err != nil {
		return nil, err
	}
	if len(wanted.CAFingerprint) > 0 && !anyHas(authorities, wanted.CAFingerprint) {
		return nil, errors.New("no CA certificate has the fingerprint that the profile promised")
	}
	message, err := scep.NewCSRRequest(request, &scep.PKIMessage{
		MessageType: scep.PKCSReq, Recipients: authorities, SignerKey: key, SignerCert: self,
		CSRReqMessage: &scep.CSRReqMessage{ChallengePassword: wanted.Challenge},
	}, scep.WithLogger(logger))
	if err != nil {
		return nil, err
	}
	answer, err := client.PKIOperation(ctx, message.Raw)
	if err != nil {
		return nil, err
	}
	reply, err := scep.ParsePKIMessage(answer, scep.WithLogger(logger), scep.WithCACerts(authorities))
	if err != nil {
		return nil, err
	}
	if reply.PKIStatus != scep.SUCCESS {
		return nil, fmt.Errorf("SCEP answered status %s, %s", reply.PKIStatus, reply.FailInfo)
	}
	if err := reply.DecryptPKIEnvelope(self, key); err != nil {
		return nil, err
	}
	return reply.CertRepMessage.Certificate, nil
}

func anyHas(authorities []*x509.Certificate, fingerprint []byte) bool {
	for _, authority := range authorities {
		one, two := sha1.Sum(authority.Raw), sha256.Sum256(authority.Raw)
		if bytes.Equal(one[:], fingerprint) || bytes.Equal(two[:], fingerprint) {
			return true
		}
	}
	return false
}

func keep(dir string, s state, key crypto.Signer, certificate *x509.Certificate) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "state.json"), text, 0o600); err != nil || key == nil {
		return err
	}
	var out bytes.Buffer
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), out.Bytes(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "certificate.der"), certificate.Raw, 0o600)
}

type phone struct {
	state
	key         crypto.Signer
	certificate *x509.Certificate
}

func load(dir string) (*phone, error) {
	p := &phone{}
	text, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &p.state); err != nil {
		return nil, err
	}
	if text, err = os.ReadFile(filepath.Join(dir, "key.pem")); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	p.key = key.(crypto.Signer)
	if text, err = os.ReadFile(filepath.Join(dir, "certificate.der")); err != nil {
		return nil, err
	}
	p.certificate, err = x509.ParseCertificate(text)
	return p, err
}

// send signs a message as SignMessage asks (detached CMS in Mdm-Signature) and PUTs it.
func (p *phone) send(url, kind string, message map[string]any) ([]byte, error) {
	body, err := plist.MarshalIndent(message, plist.XMLFormat, "\t")
	if err != nil {
		return nil, err
	}
	signed, err := pkcs7.NewSignedData(body)
	if err != nil {
		return nil, err
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if p.SHA1 {
		signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
	}
	if err := signed.AddSigner(p.certificate, p.key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	if !p.Attached {
		signed.Detach()
	}
	signature, err := signed.Finish()
	if err != nil {
		return nil, err
	}
	method := "PUT"
	if p.POST {
		method = "POST"
	}
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Mdm-Signature", base64.StdEncoding.EncodeToString(signature))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != 200 {
		err = fmt.Errorf("the server answered %d", answer.StatusCode)
	}
	if err == nil && len(said) == 0 && answer.ContentLength != 0 {
		err = errors.New("an empty answer must have Content-Length: 0")
	}
	return said, err
}

func poll(dir string) error {
	p, err := load(dir)
	if err != nil {
		return err
	}
	message := map[string]any{"UDID": p.UDID, "Status": "Idle"}
	for turns := 0; turns < 50; turns++ {
		said, err := p.send(p.ServerURL, "application/x-apple-aspen-mdm", message)
		if err != nil {
			return err
		}
		if len(said) == 0 {
			return keep(dir, p.state, nil, nil)
		}
		one, err := decode(said)
		if err != nil {
			return err
		}
		more, done := p.answer(one.Command)
		message = map[string]any{"UDID": p.UDID, "Status": "Acknowledged", "CommandUUID": one.CommandUUID}
		if !done {
			message["Status"] = "Error"
		}
		for key, value := range more {
			message[key] = value
		}
		line := map[string]any{
			"verb": one.Command["RequestType"], "uuid": one.CommandUUID, "profiles": len(p.Profiles), "status": message["Status"],
		}
		if line["verb"] == "DeclarativeManagement" {
			if line["token"], err = told(said); err != nil {
				return err
			}
		}
		text, _ := json.Marshal(line)
		fmt.Println(string(text))
	}
	return errors.New("the server never stopped sending commands")
}

func leave(dir string) error {
	p, err := load(dir)
	if err != nil {
		return err
	}
	_, err = p.send(p.CheckInURL, "application/x-apple-aspen-mdm-checkin", map[string]any{
		"MessageType": "CheckOut", "UDID": p.UDID, "Topic": p.Topic,
	})
	return err
}
