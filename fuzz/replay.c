/* replay.c - runs a fuzz target over files: a corpus as a regression test. */

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PATH_SIZE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replayed;

/* The whole of a file, its size in `*size`; NULL if it cannot be read. */
static uint8_t *slurp(const char *path, size_t expected, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = f ? malloc(expected + 1) : NULL;

    if (data) {
        *size = fread(data, 1, expected, f);
    }
    if (f) {
        fclose(f);
    }
    return data;
}

static int run_file(const char *path, size_t expected)
{
    size_t size = 0;
    uint8_t *data = slurp(path, expected, &size);

    if (!data) {
        perror(path);
        return 1;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed++;
    return 0;
}

static int run(const char *path);

static int run_folder(const char *path)
{
    char inside[PATH_SIZE];
    DIR *dir = opendir(path);
    struct dirent *e;
    int bad = 0;

    if (!dir) {
        perror(path);
        return 1;
    }
    for (e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] != '.') {
            int n = snprintf(inside, sizeof(inside), "%s/%s", path, e->d_name);

            bad |= n >= (int)sizeof(inside) || run(inside);
        }
    }
    closedir(dir);
    return bad;
}

static int run(const char *path)
{
    struct stat st;

    if (stat(path, &st)) {
        perror(path);
        return 1;
    }
    if (S_ISDIR(st.st_mode)) {
        return run_folder(path);
    }
    return run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    int i, bad = 0;

    for (i = 1; i < argc; i++) {
        bad |= run(argv[i]);
    }
    printf("%d inputs replayed\n", replayed);
    return bad || !replayed;
}
