package power

import (
	"strings"

	"github.com/sierpi/sierpi/system/board"
)

// linearModel estimates what a board without a sensor takes: idle + slope * u
// watts, u being the processors' utilisation, 0 to 1. Nothing is plugged into
// its USB ports, no screen is lit by it.
type linearModel struct{ idle, slope float64 }

// models are PowerJoular's regressions of measured boards
// (https://github.com/joular/powerjoular), straight lines through their ends.
var models = map[board.Model]linearModel{
	board.ModelZeroW:  {.920, .473},
	board.ModelB:      {2.912, .142},
	board.ModelBPlus:  {1.314, .122},
	board.Model2B:     {1.290, 1.149},
	board.Model3B:     {1.078, 3.477},
	board.Model3BPlus: {2.002, 3.298},
	board.Model400:    {1.822, 5.025},
	board.Model5:      {4.403, 3.458},
}

// modelFor returns the estimate for a board, and false for one that nobody
// measured: a figure made up for it would be worse than none.
func modelFor(b board.Board) (linearModel, bool) {
	if b.Model != board.Model4B {
		m, ok := models[b.Model]
		return m, ok
	}
	// The 4 changed with PCB revision 1.2, and its regressions differ by the kernel's width.
	bits64 := strings.Contains(b.Kernel, "64")
	switch first := b.PCB == "1.0" || b.PCB == "1.1"; {
	case first && bits64:
		return linearModel{2.307, 4.496}, true
	case first:
		return linearModel{2.206, 3.712}, true
	case bits64:
		return linearModel{2.286, 4.534}, true
	}
	return linearModel{2.243, 3.484}, true
}

func (m linearModel) watts(utilisation float64) float64 { return m.idle + m.slope*utilisation }
