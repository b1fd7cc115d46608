/* post.c owns single POSTs by libcurl. */
#include "fetch/post.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 5000, MS = 1000 };

enum status post_check_url(const char *url, const char *field, struct problems *problems)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_USER};
    char *texts[sizeof parts / sizeof *parts] = {NULL};
    CURLU *parsed = curl_url();
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            (void)curl_url_get(parsed, parts[i], &texts[i], 0);
    }
    const bool web = texts[0] && texts[1] && (strcasecmp(texts[0], "http") == 0 || strcasecmp(texts[0], "https") == 0);
    const bool user = texts[2] != NULL;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        curl_free(texts[i]);
    curl_url_cleanup(parsed);
    if (web && !user) return STATUS_OK;
    return problems_add(problems, STATUS_INVALID_VALUE, field, "%s",
                        user ? "a user or password in a URL would be shown: leave it out"
                             : "it is no URL of http or https, such as https://gpus.example.org");
}

static size_t pass_over(const char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes, (void)context;
    return size * count;
}

static int look_for_stop(void *context, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload)
{
    const atomic_bool *stop = context;
    (void)total, (void)now, (void)upload_total, (void)upload;
    return atomic_load(stop);
}

static bool set_options(CURL *curl, const struct post *post, struct curl_slist *headers, char *detail)
{
    const CURLcode codes[] = {
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "gpusize/" GPUSIZE_VERSION),
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"),
        curl_easy_setopt(curl, CURLOPT_URL, post->url),
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers),
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->length),
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body),
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS),
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(post->timeout_s * MS)),
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail),
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass_over),
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_stop),
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)post->stop),
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, post->stop ? 0L : 1L),
    };
    bool set = true;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        set = set && codes[i] == CURLE_OK;
    return set;
}

/* NULL when out of memory. "Expect:" keeps libcurl from asking first, and waiting. */
static struct curl_slist *headers_of(const struct post *post)
{
    char type[128];
    (void)snprintf(type, sizeof type, "Content-Type: %s", post->content_type);
    struct curl_slist *list = curl_slist_append(NULL, type);
    struct curl_slist *longer = list ? curl_slist_append(list, "Expect:") : NULL;
    for (size_t i = 0; longer && post->headers && post->headers[i]; i++)
        longer = curl_slist_append(list, post->headers[i]);
    if (longer) return list;
    curl_slist_free_all(list);
    return NULL;
}

int post_send(const struct post *post, char ret_why[], size_t why_bytes)
{
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl ? headers_of(post) : NULL;
    if (headers && set_options(curl, post, headers, detail)) code = curl_easy_perform(curl);
    if (code == CURLE_OK) (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 0) (void)snprintf(ret_why, why_bytes, "%s", *detail ? detail : curl_easy_strerror(code));
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return (int)status;
}
