// Command logverify checks a C2SP tlog-tiles log with Go's own transparency log packages, which share no code with
// the server: checkpoint signature, inclusion of every entry, and consistency between every two given checkpoints.
//
//	logverify VERIFIER-KEY DIR [OLDER-CHECKPOINT-FILE...]
//
// Prints one line of JSON. Exit status 0 only if everything verified.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // C2SP tlog-tiles: 256 hashes a tile

type report struct {
	OK          bool   `json:"ok"`
	Entries     int64  `json:"entries"`
	Consistency int    `json:"consistency"`
	Problem     string `json:"problem,omitempty"`
}

type tiles struct{ dir string }

func (t tiles) Height() int { return height }

// path translates Go's tile paths (tile/8/0/x001/234) into those of C2SP tlog-tiles (tile/0/x001/234).
func (t tiles) path(tile tlog.Tile) string {
	return filepath.Join(t.dir, "tile", strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height)))
}

func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(want))
	for i, tile := range want {
		read, err := os.ReadFile(t.path(tile))
		if err != nil {
			return nil, err
		}
		if len(read) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %s has a wrong length", tile.Path())
		}
		data[i] = read
	}
	return data, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func openCheckpoint(path string, verifiers note.Verifiers, origin string) (tlog.Tree, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	signed, err := note.Open(data, verifiers)
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		return tlog.Tree{}, errors.New("the checkpoint is of another log or malformed")
	}
	// ParseTree expects Go's own first line; size and hash are written alike.
	return tlog.ParseTree([]byte("go.sum database tree\n" + lines[1] + "\n" + lines[2] + "\n"))
}

// entries reads the bundle that holds record n, of which the log has `size`.
func (t tiles) entries(n, size int64) ([][]byte, error) {
	width := int64(1 << height)
	if rest := size - n/width*width; rest < width {
		width = rest
	}
	tile := tlog.Tile{H: height, L: -1, N: n >> height, W: int(width)}
	data, err := os.ReadFile(strings.Replace(t.path(tile), "/data/", "/entries/", 1))
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(data[0])<<8|int(data[1]) {
			return nil, fmt.Errorf("entry bundle %d is cut off", n>>height)
		}
		end := 2 + (int(data[0])<<8 | int(data[1]))
		found = append(found, data[2:end])
		data = data[end:]
	}
	if int64(len(found)) != width {
		return nil, fmt.Errorf("entry bundle %d has %d entries instead of %d", n>>height, len(found), width)
	}
	return found, nil
}

func verify(key, dir string, older []string) (report, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return report{}, err
	}
	verifiers := note.VerifierList(verifier)
	tree, err := openCheckpoint(filepath.Join(dir, "checkpoint"), verifiers, verifier.Name())
	if err != nil {
		return report{}, fmt.Errorf("checkpoint: %w", err)
	}
	result := report{Entries: tree.N}
	source := tiles{dir}
	hashes := tlog.TileHashReader(tree, source)
	var stored []tlog.Hash // recomputed from the entries alone, to compare every stored tile
	var bundle [][]byte
	for n := int64(0); n < tree.N; n++ {
		if n%(1<<height) == 0 {
			if bundle, err = source.entries(n, tree.N); err != nil {
				return result, err
			}
		}
		leaf := tlog.RecordHash(bundle[n%(1<<height)])
		proof, err := tlog.ProveRecord(tree.N, n, hashes)
		if err != nil {
			return result, fmt.Errorf("record %d: %w", n, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf); err != nil {
			return result, fmt.Errorf("record %d: %w", n, err)
		}
		added, err := tlog.StoredHashesForRecordHash(n, leaf, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(indexes))
			for i, index := range indexes {
				out[i] = stored[index]
			}
			return out, nil
		}))
		if err != nil {
			return result, err
		}
		stored = append(stored, added...)
	}
	memory := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			out[i] = stored[index]
		}
		return out, nil
	})
	for _, tile := range tlog.NewTiles(height, 0, tree.N) {
		expected, err := tlog.ReadTileData(tile, memory)
		if err != nil {
			return result, err
		}
		read, err := os.ReadFile(source.path(tile))
		if err != nil || string(read) != string(expected) {
			return result, fmt.Errorf("tile %s is missing or wrong", tile.Path())
		}
	}
	for _, path := range older {
		old, err := openCheckpoint(path, verifiers, verifier.Name())
		if err != nil {
			return result, fmt.Errorf("older checkpoint: %w", err)
		}
		if old.N == 0 {
			continue // nothing comes before the first entry
		}
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			return result, fmt.Errorf("consistency from %d: %w", old.N, err)
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return result, fmt.Errorf("consistency from %d: %w", old.N, err)
		}
		result.Consistency++
	}
	result.OK = true
	return result, nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: logverify VERIFIER-KEY DIR [OLDER-CHECKPOINT-FILE...]")
		os.Exit(2)
	}
	result, err := verify(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		result.OK = false
		result.Problem = err.Error()
	}
	line, _ := json.Marshal(result)
	fmt.Println(string(line))
	if !result.OK {
		os.Exit(1)
	}
}
