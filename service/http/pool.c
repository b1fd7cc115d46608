/* pool.c owns the queue and the threads behind it. */
#include "http/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WORKER_NICE = 10 }; /* a tenth of an HTTP thread's share when both want the same core */

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *first, **last;
    size_t waiting, idle, queue_max;
    bool stop;
    unsigned workers;
    pthread_t threads[];
};

static struct job *take(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->idle++;
    while (!pool->first && !pool->stop)
        pthread_cond_wait(&pool->more, &pool->lock);
    pool->idle--;
    struct job *job = pool->first;
    if (job) {
        pool->first = job->next;
        pool->waiting--;
        if (!pool->first) pool->last = &pool->first;
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *work(void *data)
{
    struct pool *pool = data;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), WORKER_NICE); /* Linux: of this thread; refused = harmless */
    for (struct job *job = take(pool); job; job = take(pool))
        job->run(job);
    return NULL;
}

struct pool *pool_new(unsigned workers, unsigned queue_max)
{
    struct pool *pool = calloc(1, sizeof *pool + workers * sizeof *pool->threads);
    if (!pool) return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    pool->last = &pool->first;
    pool->queue_max = queue_max;
    while (pool->workers < workers && pthread_create(&pool->threads[pool->workers], NULL, work, pool) == 0)
        pool->workers++;
    if (pool->workers == workers) return pool;
    pool_free(pool);
    return NULL;
}

bool pool_submit(struct pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool room = pool->waiting < pool->queue_max + pool->idle;
    if (room) {
        job->next = NULL;
        *pool->last = job;
        pool->last = &job->next;
        pool->waiting++;
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

size_t pool_waiting(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t waiting = pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

void pool_free(struct pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->workers; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
