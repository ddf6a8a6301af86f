package imagebuild

import "context"

func describe(ctx context.Context, o Options, lock Lock, image string) ([]string, error) {
	return nil, nil
}
