package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/jessepeterson/kmfddm/ddm"
)

// judge prints what kmfddm reads out of each status report on standard input, one a line.
func judge() error {
	said, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	for _, one := range bytes.Split(bytes.TrimSpace(said), []byte("\n")) {
		if err := judgeOne(one); err != nil {
			return err
		}
	}
	return nil
}

func judgeOne(said []byte) error {
	_, status, err := ddm.ParseStatus(said)
	if err != nil {
		return err
	}
	values := map[string][]string{}
	for _, value := range status.Values {
		values[value.Path] = append(values[value.Path], string(value.Value))
	}
	wrong := []json.RawMessage{}
	for _, one := range status.Errors {
		wrong = append(wrong, one.ErrorJSON)
	}
	line, err := json.Marshal(map[string]any{"declarations": status.Declarations, "values": values, "errors": wrong})
	fmt.Println(string(line))
	return err
}
