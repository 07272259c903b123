// Checks dashboards against Grafana's own schema: no unknown field, no wrong type, nothing required missing.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The SDK reads a panel's field configuration leniently: it is read once more, strictly.
type panels struct {
	Panels []struct {
		Title       string          `json:"title"`
		FieldConfig json.RawMessage `json:"fieldConfig"`
	} `json:"panels"`
}

// An empty list of errors is an error that is not nil.
func isError(err error) bool {
	return err != nil && err.Error() != ""
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var strict dashboard.Dashboard
	if err := strict.UnmarshalJSONStrict(text); isError(err) {
		return err
	}
	if err := strict.Validate(); isError(err) {
		return err
	}
	var all panels
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, panel := range all.Panels {
		var config dashboard.FieldConfigSource
		if err := config.UnmarshalJSONStrict(panel.FieldConfig); isError(err) {
			return fmt.Errorf("panel %q: %w", panel.Title, err)
		}
	}
	return nil
}

func main() {
	plugins.RegisterDefaultPlugins()
	failed := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Printf("%s: %v\n", file, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
	fmt.Printf("%d dashboards follow Grafana's schema\n", len(os.Args)-1)
}
