/* Two components in C, from a raw export to results: python -m mbref export GIVEN --raw

   cc -O2 -o raw_export raw_export.c -lm && ./raw_export GIVEN OUT
   python -m mbref check --results OUT

   manifest.json has one case a line, and arrays.json of a case says of each array its file, type
   and shape, and under "config" all settings. Nothing here knows more of JSON than it needs. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST = 1 << 20, PATH = 512, AXES = 8 };

typedef struct {
    int axes;
    long shape[AXES], size;
    double *at;
} array;

static void fail(const char *what, const char *name) {
    fprintf(stderr, "raw_export: %s: %s\n", what, name);
    exit(1);
}

static char *read_text(const char *folder, const char *id, const char *name) {
    static char text[MOST];
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s/%s", folder, id, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail("cannot be read", path);
    text[fread(text, 1, MOST - 1, file)] = 0;
    fclose(file);
    return text;
}

/* Where the value of a name begins. */
static const char *value(const char *text, const char *name) {
    char quoted[PATH];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *found = strstr(text, quoted);
    if (!found) fail("is not there", name);
    found += strlen(quoted);
    return found + strspn(found, " \n");
}

static double number(const char *folder, const char *id, const char *name) {
    return strtod(value(value(read_text(folder, id, "arrays.json"), "config"), name), NULL);
}

/* An array of float64. */
static array read_array(const char *folder, const char *id, const char *name) {
    char path[PATH], file_name[PATH / 2];
    const char *entry = value(read_text(folder, id, "arrays.json"), name);
    if (sscanf(value(entry, "file"), "\"%255[^\"]\"", file_name) != 1) fail("has no file", name);
    if (strncmp(value(entry, "dtype"), "\"float64\"", 9)) fail("is not float64", name);
    array a = {0, {0}, 1, NULL};
    char *next;
    for (const char *at = strchr(value(entry, "shape"), '[') + 1;; at = next + strspn(next, ", \n")) {
        long length = strtol(at, &next, 10);
        if (next == at) break;
        if (a.axes == AXES) fail("has too many axes", name);
        a.shape[a.axes++] = length;
        a.size *= length;
    }
    a.at = malloc(sizeof(double) * (a.size + 1));
    snprintf(path, sizeof path, "%s/%s/%s", folder, id, file_name);
    FILE *file = fopen(path, "rb");
    if (!file || fread(a.at, sizeof(double), a.size, file) != (size_t)a.size) fail("is cut off", path);
    fclose(file);
    return a;
}

/* Results of one case: the first array opens arrays.json, the last one closes it. */
static void write_array(const char *folder, const char *id, const char *name, array a, int last) {
    char path[PATH], file_name[PATH / 2];
    snprintf(file_name, sizeof file_name, "%s.bin", name);
    for (char *c = file_name; *c; c++)
        if (*c == '/') *c = '.';
    snprintf(path, sizeof path, "%s/%s/%s", folder, id, file_name);
    FILE *file = fopen(path, "wb");
    if (!file) fail("cannot be written", path);
    fwrite(a.at, sizeof(double), a.size, file);
    fclose(file);
    snprintf(path, sizeof path, "%s/%s/arrays.json", folder, id);
    FILE *list = fopen(path, "ab");
    fprintf(list, "%s\"%s\": {\"file\": \"%s\", \"dtype\": \"float64\", \"shape\": [", ftell(list) ? ", " : "{",
            name, file_name);
    for (int i = 0; i < a.axes; i++) fprintf(list, i ? ", %ld" : "%ld", a.shape[i]);
    fprintf(list, last ? "]}}\n" : "]}");
    fclose(list);
}

static array like(array a) {
    a.at = calloc(a.size + 1, sizeof(double));
    return a;
}

/* layers.relu: y = max(x, 0), whose gradient at 0 is 0. */
static void relu(const char *given, const char *out, const char *id) {
    array x = read_array(given, id, "inputs/x"), g = read_array(given, id, "cotangents/y");
    array y = like(x), dx = like(x);
    for (long i = 0; i < x.size; i++) {
        y.at[i] = x.at[i] > 0 ? x.at[i] : 0;
        dx.at[i] = x.at[i] > 0 ? g.at[i] : 0;
    }
    write_array(out, id, "outputs/y", y, 0);
    write_array(out, id, "grads/inputs/x", dx, 1);
}

/* layers.layer_norm: y = gamma n + beta with n = (x - mean) / s and s = sqrt(var + eps).
   dx = (dn - mean(dn) - n mean(n dn)) / s with dn = gamma g; dgamma sums n g, dbeta sums g. */
static void layer_norm(const char *given, const char *out, const char *id) {
    array x = read_array(given, id, "inputs/x"), g = read_array(given, id, "cotangents/y");
    array gamma = read_array(given, id, "params/gamma"), beta = read_array(given, id, "params/beta");
    array y = like(x), dx = like(x), dgamma = like(gamma), dbeta = like(beta);
    double eps = number(given, id, "eps");
    long width = gamma.size;
    double *n = malloc(sizeof(double) * width), *dn = malloc(sizeof(double) * width);
    for (long row = 0; row < x.size; row += width) {
        double mean = 0, variance = 0, mean_dn = 0, along = 0;
        for (long i = 0; i < width; i++) mean += x.at[row + i] / width;
        for (long i = 0; i < width; i++) variance += pow(x.at[row + i] - mean, 2) / width;
        double s = sqrt(variance + eps);
        for (long i = 0; i < width; i++) {
            n[i] = (x.at[row + i] - mean) / s;
            dn[i] = gamma.at[i] * g.at[row + i];
            mean_dn += dn[i] / width;
            along += n[i] * dn[i] / width;
        }
        for (long i = 0; i < width; i++) {
            y.at[row + i] = gamma.at[i] * n[i] + beta.at[i];
            dx.at[row + i] = (dn[i] - mean_dn - n[i] * along) / s;
            dgamma.at[i] += n[i] * g.at[row + i];
            dbeta.at[i] += g.at[row + i];
        }
    }
    write_array(out, id, "outputs/y", y, 0);
    write_array(out, id, "grads/params/gamma", dgamma, 0);
    write_array(out, id, "grads/params/beta", dbeta, 0);
    write_array(out, id, "grads/inputs/x", dx, 1);
}

int main(int count, char **argument) {
    if (count != 3) fail("usage", "raw_export GIVEN OUT");
    static char line[MOST];
    char path[PATH], id[PATH / 2];
    snprintf(path, sizeof path, "%s/manifest.json", argument[1]);
    FILE *manifest = fopen(path, "rb");
    if (!manifest) fail("cannot be read", path);
    mkdir(argument[2], 0777);
    while (fgets(line, MOST, manifest)) {
        if (sscanf(line, " {\"id\": \"%255[^\"]\"", id) != 1) continue;
        int is_norm = !strncmp(id, "layers.layer_norm/", 18);
        if (!is_norm && strncmp(id, "layers.relu/", 12)) continue;
        snprintf(path, sizeof path, "%s/%.*s", argument[2], (int)(strchr(id, '/') - id), id);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/%s", argument[2], id);
        if (mkdir(path, 0777)) fail("is there already", path);
        (is_norm ? layer_norm : relu)(argument[1], argument[2], id);
    }
    return fclose(manifest);
}
