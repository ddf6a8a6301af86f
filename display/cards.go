package display

// Cards are what the page lays over the picture as text. What is nil or empty gets
// no card.
type Cards struct {
	Time      bool       `json:"time"` // the page's own clock
	Quote     *Quote     `json:"quote,omitempty"`
	Headlines []Headline `json:"headlines,omitempty"`
	Chat      []ChatLine `json:"chat,omitempty"` // of the rooms that the owner shows, the latest last
	Machine   *Machine   `json:"machine,omitempty"`
	Notice    string     `json:"notice,omitempty"` // what the owner must know, such as a config error
}

// Quote is a saying and who said it.
type Quote struct {
	Text   string `json:"text"`
	Author string `json:"author,omitempty"`
}

// Headline is a title from a feed.
type Headline struct {
	Title  string `json:"title"`
	Source string `json:"source,omitempty"`
}

// ChatLine is something that was said lately.
type ChatLine struct {
	Author string `json:"author"`
	Text   string `json:"text"`
}

// Machine is the board's state; nil is "not measured here".
type Machine struct {
	Watts       *float64 `json:"watts,omitempty"`
	Estimated   bool     `json:"estimated,omitempty"` // the watts are computed, not measured
	Celsius     *float64 `json:"celsius,omitempty"`
	Busy        *float64 `json:"busy,omitempty"`        // share of all processors' time, 0 to 1
	MemoryUsed  *float64 `json:"memoryUsed,omitempty"`  // bytes
	MemoryTotal *float64 `json:"memoryTotal,omitempty"` // bytes
	SwapUsed    *float64 `json:"swapUsed,omitempty"`    // bytes, of all swap areas
	SwapTotal   *float64 `json:"swapTotal,omitempty"`   // bytes
	Address     string   `json:"address,omitempty"`     // under which this machine is found on its network
}
