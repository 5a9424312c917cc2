package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/jessepeterson/kmfddm/ddm"
	"github.com/jessepeterson/kmfddm/notifier"
	mplist "github.com/micromdm/plist"
)

// Declarative management as kmfddm understands it: every answer goes through its types, its parsers say what a declaration,
// a command and a status report are.

type held struct {
	Kind, Token string
	Raw         json.RawMessage
}

// declarative sends a DeclarativeManagement check-in.
func (p *phone) declarative(endpoint string, data []byte) ([]byte, error) {
	message := map[string]any{"MessageType": "DeclarativeManagement", "UDID": p.UDID, "Endpoint": endpoint}
	if data != nil {
		message["Data"] = data
	}
	said, err := p.send(p.CheckInURL, "application/x-apple-aspen-mdm-checkin", message)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	return said, nil
}

// exactly reads JSON into a type of kmfddm's; what the type writes again must say the same, with no key more or less.
func exactly(said []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(said))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	again, err := json.Marshal(into)
	if err != nil {
		return err
	}
	var one, two any
	if err := json.Unmarshal(said, &one); err != nil {
		return err
	}
	if err := json.Unmarshal(again, &two); err != nil {
		return err
	}
	if !reflect.DeepEqual(one, two) {
		return fmt.Errorf("%s is not what its type writes: %s", said, again)
	}
	return nil
}

// told reads a DeclarativeManagement command as kmfddm writes one; returns the token that it brings, or "" without Data.
func told(command []byte) (string, error) {
	var order notifier.DeclarativeManagementCommand
	if err := mplist.Unmarshal(command, &order); err != nil {
		return "", err
	}
	if order.Command.RequestType != notifier.DeclarativeManagementRequestType || order.CommandUUID == "" {
		return "", errors.New("not a DeclarativeManagement command")
	}
	if order.Command.Data == nil {
		return "", nil
	}
	var tokens ddm.TokensResponse
	err := exactly(*order.Command.Data, &tokens)
	return tokens.SyncTokens.DeclarationsToken, err
}

func (p *phone) tokens() (string, error) {
	first, err := p.declarative("tokens", nil)
	if err != nil {
		return "", err
	}
	second, err := p.declarative("tokens", nil)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(first, second) {
		return "", fmt.Errorf("two answers differ: %s, %s", first, second)
	}
	var tokens ddm.TokensResponse
	if err := exactly(first, &tokens); err != nil {
		return "", err
	}
	if tokens.SyncTokens.Timestamp.IsZero() || tokens.SyncTokens.DeclarationsToken == "" {
		return "", errors.New("the tokens are empty")
	}
	return tokens.SyncTokens.DeclarationsToken, nil
}

// sync fetches what differs from what the phone holds, and complains about whatever does not fit together.
func sync(dir string) error {
	p, err := load(dir)
	if err != nil {
		return err
	}
	token, err := p.tokens()
	if err != nil {
		return err
	}
	said, err := p.declarative("declaration-items", nil)
	if err != nil {
		return err
	}
	var items ddm.DeclarationItems
	if err := exactly(said, &items); err != nil {
		return err
	}
	now, fetched := map[string]held{}, []string{}
	for kind, list := range map[string][]ddm.ManifestDeclaration{
		"activation": items.Declarations.Activations, "asset": items.Declarations.Assets,
		"configuration": items.Declarations.Configurations, "management": items.Declarations.Management,
	} {
		if list == nil {
			return fmt.Errorf("the list of kind %s is missing", kind)
		}
		for _, item := range list {
			if before, ok := p.Held[item.Identifier]; ok && before.Token == item.ServerToken && before.Kind == kind {
				now[item.Identifier] = before
				continue
			}
			raw, err := p.declarative("declaration/"+kind+"/"+item.Identifier, nil)
			if err != nil {
				return err
			}
			if err := fits(raw, kind, item); err != nil {
				return err
			}
			now[item.Identifier] = held{Kind: kind, Token: item.ServerToken, Raw: raw}
			fetched = append(fetched, item.Identifier)
		}
	}
	after, err := p.tokens()
	if err != nil {
		return err
	}
	if token != items.DeclarationsToken || token != after {
		return fmt.Errorf("three tokens: %s, %s, %s", token, items.DeclarationsToken, after)
	}
	if before := p.DeclarationsToken; before == token && len(fetched) > 0 {
		return errors.New("a declaration changed and the token did not")
	}
	gone := []string{}
	for identifier := range p.Held {
		if _, ok := now[identifier]; !ok {
			gone = append(gone, identifier)
		}
	}
	sort.Strings(fetched)
	sort.Strings(gone)
	p.Held, p.DeclarationsToken = now, token
	line, _ := json.Marshal(map[string]any{"token": token, "held": len(now), "fetched": fetched, "gone": gone})
	fmt.Println(string(line))
	return keep(dir, p.state, nil, nil)
}

func fits(raw []byte, kind string, item ddm.ManifestDeclaration) error {
	declaration, err := ddm.ParseDeclaration(raw)
	if err != nil {
		return err
	}
	var strict ddm.Declaration
	if err := exactly(raw, &strict); err != nil {
		return err
	}
	switch {
	case !declaration.Valid():
		return fmt.Errorf("%s is no declaration", item.Identifier)
	case declaration.Identifier != item.Identifier:
		return fmt.Errorf("%s came as %s", item.Identifier, declaration.Identifier)
	case declaration.ServerToken != item.ServerToken:
		return fmt.Errorf("%s has another token than on the list", item.Identifier)
	case ddm.ManifestType(declaration.Type) != kind:
		return fmt.Errorf("%s is of kind %s and on the list of kind %s", item.Identifier, declaration.Type, kind)
	}
	return nil
}

// show prints what the phone holds of one declaration.
func show(dir, identifier string) error {
	p, err := load(dir)
	if err != nil {
		return err
	}
	one, ok := p.Held[identifier]
	if !ok {
		return fmt.Errorf("%s is not held", identifier)
	}
	fmt.Println(string(one.Raw))
	return nil
}

type reported struct {
	Identifier  string              `json:"identifier"`
	Active      bool                `json:"active"`
	Valid       string              `json:"valid"`
	ServerToken string              `json:"server-token"`
	Reasons     []map[string]string `json:"reasons,omitempty"`
}

// report sends the status report on standard input. With "held" among the words, the declarations that the phone holds are
// added; ID=CODE among them calls one invalid, in the form that a real iPhone has (active and invalid at once).
func report(dir string, words []string) error {
	p, err := load(dir)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if len(words) > 0 && words[0] == "held" {
		if said, err = p.addHeld(said, words[1:]); err != nil {
			return err
		}
	}
	// A report that kmfddm cannot read is not sent: the judge comes first.
	if _, _, err := ddm.ParseStatus(said); err != nil {
		return err
	}
	_, err = p.declarative("status", said)
	return err
}

func (p *phone) addHeld(said []byte, words []string) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(said, &document); err != nil {
		return nil, err
	}
	wrong := map[string]string{}
	for _, word := range words {
		identifier, code, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not ID=CODE", word)
		}
		wrong[identifier] = code
	}
	lists := map[string][]reported{"activations": {}, "assets": {}, "configurations": {}, "management": {}}
	names := map[string]string{"activation": "activations", "asset": "assets", "configuration": "configurations", "management": "management"}
	for identifier, one := range p.Held {
		// What a real iPhone says of management declarations: they are valid, and nothing activates them.
		state := reported{Identifier: identifier, Active: one.Kind != "management", Valid: "valid", ServerToken: one.Token}
		if code, ok := wrong[identifier]; ok {
			state.Valid = "invalid"
			state.Reasons = []map[string]string{{"code": code, "description": "as it was asked for"}}
		}
		lists[names[one.Kind]] = append(lists[names[one.Kind]], state)
	}
	items, _ := document["StatusItems"].(map[string]any)
	if items == nil {
		return nil, errors.New("there are no StatusItems")
	}
	management, _ := items["management"].(map[string]any)
	if management == nil {
		management = map[string]any{}
	}
	management["declarations"] = lists
	items["management"] = management
	return json.Marshal(document)
}
