/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - doubly linked lists of nodes that lie inside their objects; removal is idempotent. */
#ifndef MESH__BASE_LIST_H
#define MESH__BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A head is a node that points to itself when its list is empty; a node in no list has two NULLs. */
struct list {
    struct list *prev, *next;
};

#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void mesh__list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool mesh__list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool mesh__list_linked(const struct list *node)
{
    return node->next != NULL;
}

/* Appends the node, which must be in no list. */
static inline void mesh__list_push(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Puts the node, which must be in no list, first. */
static inline void mesh__list_push_front(struct list *head, struct list *node)
{
    mesh__list_push(head->next, node);
}

/* Takes the node out of its list, if it is in one. */
static inline void mesh__list_remove(struct list *node)
{
    if (node->next == NULL)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* Takes the first node out; NULL from an empty list. */
static inline struct list *mesh__list_pop(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    mesh__list_remove(node);
    return node;
}

#endif
