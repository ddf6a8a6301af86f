package metrics

// Kind is the Prometheus type of a figure.
type Kind string

// The kinds of figures sierpi exports.
const (
	Gauge   Kind = "gauge"
	Counter Kind = "counter"
)

// Figure is one metric: what it is called and what it means. Help names the source.
type Figure struct {
	Name   string
	Help   string
	Kind   Kind
	Labels []string
}

// The figures. They never change while the program runs; docs/metrics.md is
// written from them.
var (
	BuildInfo = &Figure{"sierpi_build_info", "Version of sierpi, Go and architecture; always 1.", Gauge, []string{"version", "goversion", "goarch"}}
	PartState = &Figure{"sierpi_part_state", "1 for the state that a part of the daemon is in (ok, absent, stale, failed), as /healthz has it.", Gauge, []string{"part", "state"}}

	BoardInfo       = &Figure{"sierpi_board_info", "The Raspberry Pi this is, from its revision code and device tree; always 1, absent elsewhere.", Gauge, []string{"model", "revision", "soc"}}
	CPUUtilization  = &Figure{"sierpi_cpu_utilization_ratio", "Share of all processors that was busy since the last reading, 0 to 1, from /proc/stat.", Gauge, nil}
	MemoryTotal     = &Figure{"sierpi_memory_total_bytes", "RAM the kernel manages, from MemTotal of /proc/meminfo.", Gauge, nil}
	MemoryAvailable = &Figure{"sierpi_memory_available_bytes", "RAM new programs can have without swapping, from MemAvailable of /proc/meminfo.", Gauge, nil}
	StateSize       = &Figure{"sierpi_state_size_bytes", "Size of the file system that holds the state folder, from statfs(2).", Gauge, nil}
	StateFree       = &Figure{"sierpi_state_free_bytes", "What the daemon may still write there, from statfs(2).", Gauge, nil}
	Temperature     = &Figure{"sierpi_temperature_celsius", "Temperature by sensor, from thermal_zone and hwmon.", Gauge, []string{"sensor"}}

	PowerWatts    = &Figure{"sierpi_power_watts", "Power the machine takes, by the source that says so; rail \"total\" is the whole board.", Gauge, []string{"source", "rail"}}
	PowerVolts    = &Figure{"sierpi_power_volts", "Voltage of a rail, by the source that measured it.", Gauge, []string{"source", "rail"}}
	PowerAmperes  = &Figure{"sierpi_power_amperes", "Current of a rail, by the source that measured it.", Gauge, []string{"source", "rail"}}
	PowerLimit    = &Figure{"sierpi_power_limit_watts", "What the supply can give, from the config or a Pi 5's negotiation with it.", Gauge, nil}
	PowerHeadroom = &Figure{"sierpi_power_headroom_watts", "What the supply can give less what the machine takes.", Gauge, nil}

	PowerJoules     = &Figure{"sierpi_power_joules_total", "Energy taken, integrated from the readings of a source and kept over restarts; rail \"total\" is the whole board.", Counter, []string{"source", "rail"}}
	Throttled       = &Figure{"sierpi_power_throttled", "1 while the board is slowed down for a reason (under_voltage, frequency_capped, throttled, soft_temperature), from the firmware or hwmon.", Gauge, []string{"reason"}}
	ThrottledEvents = &Figure{"sierpi_power_throttled_events_total", "How often a reason for slowing down began since the daemon started, counted by the daemon.", Counter, []string{"reason"}}

	ZramDisksize       = &Figure{"sierpi_zram_disksize_bytes", "Size of the device before compression, from disksize.", Gauge, []string{"device"}}
	ZramOriginal       = &Figure{"sierpi_zram_original_bytes", "Data stored, before compression, from mm_stat column 1.", Gauge, []string{"device"}}
	ZramCompressed     = &Figure{"sierpi_zram_compressed_bytes", "Data stored, compressed, from mm_stat column 2.", Gauge, []string{"device"}}
	ZramUsed           = &Figure{"sierpi_zram_used_bytes", "RAM taken with the allocator's overhead, from mm_stat column 3.", Gauge, []string{"device"}}
	ZramLimit          = &Figure{"sierpi_zram_limit_bytes", "RAM the device may take, from mm_stat column 4; absent without a limit.", Gauge, []string{"device"}}
	ZramUsedMax        = &Figure{"sierpi_zram_used_max_bytes", "Most RAM taken since set-up, from mm_stat column 5.", Gauge, []string{"device"}}
	ZramSamePages      = &Figure{"sierpi_zram_same_pages", "Pages of one repeated word, which take no RAM, from mm_stat column 6.", Gauge, []string{"device"}}
	ZramPagesCompacted = &Figure{"sierpi_zram_pages_compacted_total", "Pages freed by compaction, from mm_stat column 7.", Counter, []string{"device"}}
	ZramHugePages      = &Figure{"sierpi_zram_huge_pages", "Pages that do not compress, from mm_stat column 8.", Gauge, []string{"device"}}
	ZramHugePagesSince = &Figure{"sierpi_zram_huge_pages_total", "Pages that did not compress since set-up, from mm_stat column 9.", Counter, []string{"device"}}
	ZramFailedReads    = &Figure{"sierpi_zram_failed_reads_total", "Failed reads, from io_stat column 1.", Counter, []string{"device"}}
	ZramFailedWrites   = &Figure{"sierpi_zram_failed_writes_total", "Failed writes, from io_stat column 2.", Counter, []string{"device"}}
	ZramInvalidIO      = &Figure{"sierpi_zram_invalid_io_total", "Requests not aligned to a page, from io_stat column 3.", Counter, []string{"device"}}
	ZramNotifyFree     = &Figure{"sierpi_zram_notify_free_total", "Slots freed because swap no longer needs them, from io_stat column 4.", Counter, []string{"device"}}
	ZramBackingUsed    = &Figure{"sierpi_zram_backing_used_bytes", "Data on the backing device, from bd_stat column 1.", Gauge, []string{"device"}}
	ZramBackingRead    = &Figure{"sierpi_zram_backing_read_bytes_total", "Data read back from the backing device, from bd_stat column 2.", Counter, []string{"device"}}
	ZramBackingWritten = &Figure{"sierpi_zram_backing_written_bytes_total", "Data written to the backing device, from bd_stat column 3.", Counter, []string{"device"}}
	KSMSaved           = &Figure{"sierpi_ksm_saved_bytes", "RAM that same-page merging saves, from pages_sharing of /sys/kernel/mm/ksm.", Gauge, nil}
	SwapSize           = &Figure{"sierpi_swap_size_bytes", "Size of a swap area, from /proc/swaps.", Gauge, []string{"path"}}
	SwapUsed           = &Figure{"sierpi_swap_used_bytes", "Used part of a swap area, from /proc/swaps.", Gauge, []string{"path"}}

	DisplayScreens     = &Figure{"sierpi_display_screens", "Screens by what their heartbeat says; kind \"wall\" are the machine's own, what a \"visitor\" says is not checked.", Gauge, []string{"kind", "state"}}
	DisplayRate        = &Figure{"sierpi_display_frame_rate", "Frames a second that a screen of the machine painted lately, from its heartbeat.", Gauge, []string{"screen"}}
	DisplayHashTime    = &Figure{"sierpi_display_hash_seconds", "What reading and hashing its canvas took a screen of the machine, from its last heartbeat.", Gauge, []string{"screen"}}
	DisplayOutputAsked = &Figure{"sierpi_display_output_asked", "1 if the output is to be lit now, by the timetable or the owner.", Gauge, []string{"output"}}
	DisplayOutputOn    = &Figure{"sierpi_display_output_on", "1 if the kiosk session read back that the output is lit.", Gauge, []string{"output"}}
	DisplayFrames      = &Figure{"sierpi_display_frames_total", "Frames of the universe's time since start, those included that were left out to save power.", Counter, nil}
	DisplayBytes       = &Figure{"sierpi_display_sent_bytes_total", "Frame data sent to screens since start.", Counter, nil}
	DisplayDropped     = &Figure{"sierpi_display_dropped_frames_total", "Frames that slow screens did not get.", Counter, nil}
	DisplayBrightness  = &Figure{"sierpi_display_brightness_ratio", "How bright the picture is, 1 by day, from the timetable.", Gauge, nil}
	DisplayPace        = &Figure{"sierpi_display_pace", "Every which frame is drawn: more than 1 while the board is short of power or too warm.", Gauge, nil}
	DisplayCoarse      = &Figure{"sierpi_display_coarseness", "Cells of the universe that a cell of the picture stands for, across and down: 2 while the board is short of power or too warm.", Gauge, nil}
	SceneJoules        = &Figure{"sierpi_display_scene_joules_total", "Energy the whole board took while a scene was on a screen of the machine, since start, by the source of the readings.", Counter, []string{"scene", "source"}}
	SceneSeconds       = &Figure{"sierpi_display_scene_seconds_total", "Time for which that energy was measured: joules by seconds are a scene's watts.", Counter, []string{"scene"}}

	FeedItems = &Figure{"sierpi_feed_items", "Items held of all feeds.", Gauge, nil}
	FeedStale = &Figure{"sierpi_feed_stale_sources", "Feeds whose last good copy is older than it should be.", Gauge, nil}
	Quotes    = &Figure{"sierpi_quotes", "Quotes in the database.", Gauge, nil}

	ChatWaiters  = &Figure{"sierpi_chat_waiters", "Open polls and event streams of the chat.", Gauge, nil}
	ChatMessages = &Figure{"sierpi_chat_messages_total", "Messages taken by the chat since start.", Counter, nil}
)

// All is every figure, in the order of the documentation.
func All() []*Figure {
	return []*Figure{
		BuildInfo, PartState,
		BoardInfo, CPUUtilization, MemoryTotal, MemoryAvailable, StateSize, StateFree, Temperature,
		PowerWatts, PowerVolts, PowerAmperes, PowerLimit, PowerHeadroom, PowerJoules, Throttled, ThrottledEvents,
		ZramDisksize, ZramOriginal, ZramCompressed, ZramUsed, ZramLimit, ZramUsedMax, ZramSamePages, ZramPagesCompacted,
		ZramHugePages, ZramHugePagesSince, ZramFailedReads, ZramFailedWrites, ZramInvalidIO, ZramNotifyFree,
		ZramBackingUsed, ZramBackingRead, ZramBackingWritten, KSMSaved, SwapSize, SwapUsed,
		DisplayScreens, DisplayRate, DisplayHashTime, DisplayOutputAsked, DisplayOutputOn,
		DisplayFrames, DisplayBytes, DisplayDropped, DisplayBrightness, DisplayPace, DisplayCoarse, SceneJoules, SceneSeconds,
		FeedItems, FeedStale, Quotes, ChatWaiters, ChatMessages,
	}
}
