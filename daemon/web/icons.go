package web

import (
	"fmt"
	"html/template"
)

// Icons are the names that {{icon}} knows.
func Icons() []string {
	return []string{"wall", "feed", "quote", "chat", "cut", "health", "search", "key", "out", "check", "warn", "bad",
		"info", "left", "right", "up", "down", "download", "upload", "trash", "plus", "close", "clock", "temperature",
		"power", "memory", "link", "user", "refresh", "camera", "play", "pause", "step", "grid", "eye", "send", "machine"}
}

// icon draws an icon inline: no request, and it takes the colour of its text.
func icon(name string) template.HTML {
	d := iconPath(name)
	if d == "" {
		d = iconPath("info") // a missing icon must not take the page down; the tests know all names
	}
	return template.HTML(fmt.Sprintf(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="%s"/></svg>`, d))
}

// iconPath is the icon's strokes on a grid of 24, in round lines 1.75 wide.
func iconPath(name string) string {
	switch name {
	case "wall":
		return "M3 5h18v12H3zM8 21h8M12 17v4M12 8l3.5 6h-7z"
	case "feed":
		return "M5 19.2v-.1M4 12a8 8 0 0 1 8 8M4 5a15 15 0 0 1 15 15"
	case "quote":
		return "M10 7C6.5 8 5 10.5 5 14v3h5v-5H7M19 7c-3.5 1-5 3.5-5 7v3h5v-5h-3"
	case "chat":
		return "M4 5h16v11H11l-5 4v-4H4zM8 9.500h8M8 12.500h5"
	case "cut":
		return "M6 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM6 20a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8.2 7.8 20 18M8.2 16.2 20 6"
	case "health":
		return "M3 12h4l2.5-6 4.5 12 2.5-6H21"
	case "search":
		return "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5 20 20"
	case "key":
		return "M8 16.500a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM12.5 12H21v3.500M17 12v2.5"
	case "out":
		return "M10 4H5v16h5M14 8l4 4-4 4M18 12H9"
	case "check":
		return "m4.5 12.5 5 5 10-11"
	case "warn":
		return "M12 4 2.5 20h19zM12 10v4.500M12 17.200v.1"
	case "bad":
		return "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9 9l6 6M15 9l-6 6"
	case "info":
		return "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5.500M12 7.700v.1"
	case "left":
		return "m14.5 5-7 7 7 7"
	case "right":
		return "m9.5 5 7 7-7 7"
	case "up":
		return "m5 14.5 7-7 7 7"
	case "down":
		return "m5 9.5 7 7 7-7"
	case "download":
		return "M12 4v11M7 10.500l5 5 5-5M4 20h16"
	case "upload":
		return "M12 16V5M7 9.500l5-5 5 5M4 20h16"
	case "trash":
		return "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5.500M14 11v5.5"
	case "plus":
		return "M12 5v14M5 12h14"
	case "close":
		return "m6 6 12 12M18 6 6 18"
	case "clock":
		return "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2"
	case "temperature":
		return "M10 14V5.500a2 2 0 1 1 4 0V14a4 4 0 1 1-4 0zM12 10v7.5"
	case "power":
		return "M13 3 5 14h6l-1 7 8-11h-6z"
	case "memory":
		return "M4 7h16v9H4zM8 10v3M12 10v3M16 10v3M7 16v3M12 16v3M17 16v3"
	case "link":
		return "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.700l1-1"
	case "user":
		return "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20.500c.5-4 3.5-6 8-6s7.5 2 8 6"
	case "refresh":
		return "M20 12a8 8 0 1 1-2.5-5.800M20 3.500v4.500h-4.5"
	case "camera":
		return "M3 7h4.500L9 4.500h6L16.5 7H21v12H3zM12 16.500a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z"
	case "play":
		return "M7 4.500v15L19.5 12z"
	case "pause":
		return "M8 5v14M16 5v14"
	case "step":
		return "M5 5v14l10-7zM19 5v14"
	case "grid":
		return "M4 4h7v7H4zM13 13h7v7h-7zM13 4h7v7h-7zM4 13h7v7H4z"
	case "eye":
		return "M2.5 12c2-4 5.5-6.5 9.5-6.500S19.5 8 21.5 12c-2 4-5.5 6.5-9.5 6.500S4.5 16 2.5 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z"
	case "send":
		return "M3.5 4.5 21 12 3.5 19.5 6 12zM6 12h15"
	case "machine":
		return "M3 6h18v12H3zM6.5 6V4M10 6V4M14 6V4M17.5 6V4M8 10h5v5H8zM17 15.500v-.1"
	}
	return ""
}
