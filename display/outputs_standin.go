package display

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// OutputsPath is where the kiosk session asks and reports: ServeOutputs.
const OutputsPath = "/display/outputs"

// ServeOutputs takes the outputs that the kiosk session sees ({"outputs":[{"name":
// "HDMI-1","on":true}]}) and answers for each which page belongs there and how the
// machine's own screen does. It has no timetable: every output is to be on.
func (s *Stage) ServeOutputs(w http.ResponseWriter, r *http.Request) {
	type output struct {
		Name  string `json:"name"`
		Page  string `json:"page,omitempty"`
		On    bool   `json:"on"`
		State State  `json:"state,omitempty"`
		Frame uint32 `json:"frame,omitempty"`
		Rung  string `json:"rung,omitempty"`
	}
	var m struct {
		Outputs []output `json:"outputs"`
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10)).Decode(&m); err != nil {
			http.Error(w, `send {"outputs":[{"name":"HDMI-1","on":true}]}`, http.StatusBadRequest)
			return
		}
	}
	best := ScreenStatus{State: Gone}
	for _, sc := range s.Status().Screens {
		if sc.Kiosk && (best.State == Gone || sc.State == Painting) {
			best = sc
		}
	}
	if len(m.Outputs) == 0 {
		m.Outputs = make([]output, 1)
	}
	for i := range m.Outputs {
		o := &m.Outputs[i]
		*o = output{o.Name, "/kiosk?output=" + url.QueryEscape(o.Name), true, best.State, best.Frame, best.Rung}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(m) // the client is gone: nobody to tell
}
