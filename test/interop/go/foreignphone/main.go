// Command foreignphone plays an iPhone with nothing of Bartizan's: micromdm's SCEP client, smallstep's PKCS #7 and
// howett's property lists. It knows Apple's protocol alone.
//
//	foreignphone enrol DIR LINK   profile, SCEP, Authenticate, TokenUpdate
//	foreignphone poll DIR         Idle, then every command that waits; prints one JSON line per command
package main

import (
	"bytes"
	"context"
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
	"time"

	"github.com/go-kit/kit/log"
	scepclient "github.com/micromdm/scep/v2/client"
	"github.com/micromdm/scep/v2/cryptoutil/x509util"
	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"
	"howett.net/plist"
)

const udid = "5A2B8C10-77D4-4E0E-9F11-2A61B0C4D901"

type state struct {
	ServerURL, CheckInURL, Topic string
	Profiles                     map[string]string
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
		return enrol(args[1], args[2])
	case len(args) == 2 && args[0] == "poll":
		return poll(args[1])
	}
	return errors.New("usage: foreignphone enrol DIR LINK | poll DIR")
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

func enrol(dir, link string) error {
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
	key, certificate, err := certify(wanted)
	if err != nil {
		return err
	}
	s.Profiles = map[string]string{}
	if err := keep(dir, s, key, certificate); err != nil {
		return err
	}
	phone, err := load(dir)
	if err != nil {
		return err
	}
	for _, message := range []map[string]any{
		{
			"MessageType": "Authenticate", "UDID": udid, "Topic": s.Topic, "DeviceName": "Foreign phone",
			"Model": "MD123", "ModelName": "iPhone", "ProductName": "iPhone15,4", "OSVersion": "18.3",
			"BuildVersion": "22D5", "SerialNumber": "FOREIGN00001",
		},
		{
			"MessageType": "TokenUpdate", "UDID": udid, "Topic": s.Topic, "PushMagic": "foreign-magic",
			"Token": bytes.Repeat([]byte{0x5a}, 32), "AwaitingConfiguration": false,
		},
	} {
		if _, err := phone.send(s.CheckInURL, "application/x-apple-aspen-mdm-checkin", message); err != nil {
			return fmt.Errorf("%v: %w", message["MessageType"], err)
		}
	}
	return nil
}

func certify(wanted scepPayload) (*rsa.PrivateKey, *x509.Certificate, error) {
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
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{Subject: name, SignatureAlgorithm: x509.SHA256WithRSA},
		ChallengePassword:  wanted.Challenge,
	}, key)
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
	return key, issued, err
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
	issued := reply.CertRepMessage.Certificate
	if !key.PublicKey.Equal(issued.PublicKey) {
		return nil, errors.New("the certificate is for another key")
	}
	return issued, nil
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

func keep(dir string, s state, key *rsa.PrivateKey, certificate *x509.Certificate) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "state.json"), text, 0o600); err != nil || key == nil {
		return err
	}
	var out bytes.Buffer
	pem.Encode(&out, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), out.Bytes(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "certificate.der"), certificate.Raw, 0o600)
}

type phone struct {
	state
	key         *rsa.PrivateKey
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
	if p.key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		return nil, err
	}
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
	if err := signed.AddSigner(p.certificate, p.key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	signed.Detach()
	signature, err := signed.Finish()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest("PUT", url, bytes.NewReader(body))
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
	message := map[string]any{"UDID": udid, "Status": "Idle"}
	for turns := 0; turns < 50; turns++ {
		said, err := p.send(p.ServerURL, "application/x-apple-aspen-mdm", message)
		if err != nil {
			return err
		}
		if len(said) == 0 {
			return keep(dir, p.state, nil, nil)
		}
		var order struct {
			CommandUUID string
			Command     struct {
				RequestType string
				Queries     []string
				Payload     []byte
				Identifier  string
			}
		}
		if _, err := plist.Unmarshal(said, &order); err != nil {
			return err
		}
		message = map[string]any{"UDID": udid, "Status": "Acknowledged", "CommandUUID": order.CommandUUID}
		switch order.Command.RequestType {
		case "DeviceInformation":
			message["QueryResponses"] = information(order.Command.Queries)
		case "InstallProfile":
			var profile struct{ PayloadIdentifier, PayloadUUID string }
			if _, err := plist.Unmarshal(order.Command.Payload, &profile); err != nil {
				return err
			}
			p.Profiles[profile.PayloadIdentifier] = profile.PayloadUUID
		case "RemoveProfile":
			delete(p.Profiles, order.Command.Identifier)
		case "ProfileList":
			list := []map[string]any{}
			for identifier, id := range p.Profiles {
				list = append(list, map[string]any{
					"PayloadIdentifier": identifier, "PayloadUUID": id, "PayloadVersion": 1, "IsManaged": true, "PayloadContent": []any{},
				})
			}
			message["ProfileList"] = list
		default:
			message["Status"] = "Error"
			message["ErrorChain"] = []map[string]any{{
				"ErrorCode": 12021, "ErrorDomain": "MCMDMErrorDomain", "LocalizedDescription": "Unknown command",
			}}
		}
		line, _ := json.Marshal(map[string]any{"verb": order.Command.RequestType, "uuid": order.CommandUUID, "profiles": len(p.Profiles)})
		fmt.Println(string(line))
	}
	return errors.New("the server never stopped sending commands")
}

func information(queries []string) map[string]any {
	known := map[string]any{
		"UDID": udid, "SerialNumber": "FOREIGN00001", "DeviceName": "Foreign phone", "OSVersion": "18.3", "BuildVersion": "22D5",
		"ModelName": "iPhone", "Model": "MD123", "ProductName": "iPhone15,4", "DeviceCapacity": 128.0, "AvailableDeviceCapacity": 77.25,
		"BatteryLevel": 0.5, "IsSupervised": false,
	}
	answers := map[string]any{}
	for _, query := range queries {
		if value, ok := known[query]; ok {
			answers[query] = value
		}
	}
	return answers
}
