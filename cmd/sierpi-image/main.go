// Command sierpi-image builds the packages and the flashable image, boots it
// under QEMU and inspects it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	imagebuild "github.com/sierpi/sierpi/image-build"
)

// version is set by the linker (-X main.version=...).
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sierpi-image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// newRoot builds the tree of commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "sierpi-image",
		Short:         "Build sierpi's packages and images, and prove that they boot",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(buildCommand(), packagesCommand(), inspectCommand(), vmCommand(), acceptanceCommand(), cutsCommand())
	return root
}

// common are the flags of everything that builds.
type common struct {
	source, version, cache, out, work, keyrings string
	mirror, security                            string
	archives                                    map[string]string
}

func (c *common) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.source, "source", ".", "package the checkout in this `DIR`")
	f.StringVar(&c.version, "package-version", "", "call the package this `VERSION` (default: from git)")
	f.StringVar(&c.cache, "cache", "", "keep packages in this `DIR` (default: sierpi-image in the user's cache folder)")
	f.StringVar(&c.out, "out", "build/image", "write results into this `DIR`")
	f.StringVar(&c.work, "work", "", "scratch `DIR`; needs about 3 GiB (default: the system's)")
	f.StringVar(&c.mirror, "mirror", "", "get Debian from this `URL` (default: where this machine's apt gets it)")
	f.StringVar(&c.security, "security-mirror", "", "get Debian's security updates from this `URL` (default: beside the mirror)")
	f.StringToStringVar(&c.archives, "archive", nil, "get another archive from `NAME=URL` (raspberrypi, raspbian)")
	f.StringVar(&c.keyrings, "keyrings", "", "look for archives' keys in this `DIR` too")
}

func (c *common) options(ctx context.Context, stderr io.Writer) (imagebuild.Options, error) {
	o := imagebuild.Options{Cache: c.cache, Out: c.out, Work: c.work, Keyrings: c.keyrings, Progress: stderr, Mirrors: imagebuild.Mirrors{}}
	if o.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("no folder for the package cache: %w; name one with --cache DIR", err)
		}
		o.Cache = filepath.Join(dir, "sierpi-image")
	}
	if c.mirror != "" {
		o.Mirrors["debian"] = strings.TrimRight(c.mirror, "/")
		if c.security == "" {
			o.Mirrors["security"] = o.Mirrors["debian"] + "-security"
		}
	}
	if c.security != "" {
		o.Mirrors["security"] = strings.TrimRight(c.security, "/")
	}
	for name, url := range c.archives {
		o.Mirrors[name] = strings.TrimRight(url, "/")
	}
	var err error
	o.Source, err = imagebuild.OpenSource(ctx, c.source, c.version)
	return o, err
}

func buildCommand() *cobra.Command {
	var c common
	var r imagebuild.Recipe
	var keys []string
	var wifi, lock, config, address string
	var plain, noCompress, emulated, keep bool
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build a flashable image",
		Example: `  sudo sierpi-image build                                       the image for the 3, Zero 2 W, 4 and 400
  sudo sierpi-image build --arch armel                          for the 1, Zero and Zero W
  sudo sierpi-image build --arch amd64 --board pc               for a PC or a virtual machine
  sudo sierpi-image build --lock build/image/sierpi-headless-debian-arm64-pi.lock    the same again`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := c.options(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			for _, key := range keys {
				// A file's name, or the key itself.
				if doc, err := os.ReadFile(key); err == nil {
					key = strings.TrimSpace(string(doc))
				}
				r.Settings.SSHKeys = append(r.Settings.SSHKeys, key)
			}
			if wifi != "" {
				if r.Settings.WiFi.SSID, r.Settings.WiFi.Password, r.Settings.WiFi.Country, err = splitWiFi(wifi); err != nil {
					return err
				}
			}
			if config != "" {
				if r.Config, err = os.ReadFile(config); err != nil {
					return err
				}
			}
			if lock != "" {
				if o.Lock, err = os.ReadFile(lock); err != nil {
					return err
				}
			}
			o.Recipe, o.ComparePlain, o.Compress, o.ReleaseAddress, o.Emulated, o.Keep = r, plain, !noCompress, address, emulated, keep
			res, err := imagebuild.Build(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), res.Image)
			return nil
		},
	}
	c.add(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Base, "base", "debian", "build on `debian` or raspios")
	f.StringVar(&r.Arch, "arch", "arm64", "for this Debian `ARCH`: arm64, armel, armhf (raspios), amd64")
	f.StringVar(&r.Board, "board", "pi", "for a `pi` or a pc")
	f.StringVar(&r.Variant, "variant", "headless", "build the `VARIANT` headless, or kiosk with the wall on the screen")
	f.StringVar(&r.Settings.Hostname, "hostname", "sierpi", "the machine's `NAME`; it is then found as NAME.local")
	f.StringVar(&r.Settings.User, "user", "", "make this `USER` at first boot (default: the serial line asks)")
	f.StringArrayVar(&keys, "ssh-key", nil, "let this public `KEY` (or the file that holds it) in by SSH, and turn SSH on")
	f.StringVar(&wifi, "wifi", "", "join this Wi-Fi: `COUNTRY:SSID:PASSWORD`; - reads the password from $SIERPI_WIFI_PASSWORD")
	f.StringVar(&r.Settings.Locale, "locale", "", "use this `LOCALE`, as de_DE.UTF-8")
	f.StringVar(&r.Settings.Timezone, "timezone", "", "use this time `ZONE`, as Europe/Berlin")
	f.StringVar(&config, "config", "", "put this sierpi.toml `FILE` on the boot partition")
	f.StringVar(&lock, "lock", "", "build the packages of this lock `FILE` again, not today's")
	f.StringVar(&address, "release-address", "", "the results will be found below this `URL`; for the Imager's list")
	f.BoolVar(&plain, "compare", false, "also time mmdebstrap alone with the same packages")
	f.BoolVar(&emulated, "emulated", false, "emulate every program of the image's architecture, as a plain chroot does; the image is the same")
	f.BoolVar(&keep, "keep", false, "leave the scratch folder, to see what became of a failed build")
	f.BoolVar(&noCompress, "no-compress", false, "write the plain image only")
	return cmd
}

// splitWiFi reads COUNTRY:SSID:PASSWORD; the password may hold colons.
func splitWiFi(s string) (ssid, password, country string, err error) {
	country, rest, ok := strings.Cut(s, ":")
	ssid, password, _ = strings.Cut(rest, ":")
	if !ok || ssid == "" {
		return "", "", "", errors.New("--wifi: write it as COUNTRY:SSID:PASSWORD, for example DE:Home:secret words")
	}
	if password == "-" {
		// Arguments are seen by everyone on the machine; the environment is not.
		password = os.Getenv("SIERPI_WIFI_PASSWORD")
	}
	return ssid, password, country, nil
}

func packagesCommand() *cobra.Command {
	var c common
	arches := []string{"arm64", "armhf", "armel", "amd64"}
	cmd := &cobra.Command{
		Use:   "packages",
		Short: "Build the Debian packages",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := c.options(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			paths, err := imagebuild.Packages(cmd.Context(), o, arches)
			for _, p := range paths {
				fmt.Fprintln(cmd.OutOrStdout(), p)
			}
			return err
		},
	}
	c.add(cmd)
	cmd.Flags().StringSliceVar(&arches, "arch", arches, "for these Debian `ARCH`es")
	return cmd
}
